//! Whether other metrics say of two models what the judged one says.

use serde::Serialize;

use super::{Aggregate, AggregateKind};
use crate::outcome::{Evaluation, TaskScore};
use crate::units::Accuracy;

/// Two models by one metric and by the judged one, on the same documents. All scores are in `[0, 1]`, higher is better.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricComparison {
    /// On one task; `None`: aggregated over all.
    pub task: Option<String>,
    /// The metric that is not judged.
    pub metric: String,
    /// What the first model scores by it.
    pub first: f64,
    /// What the second model scores by it.
    pub second: f64,
    /// The judged metric; of an aggregate, which one it is.
    pub judged: String,
    /// What the first model scores by the judged metric.
    pub judged_first: f64,
    /// What the second model scores by the judged metric.
    pub judged_second: f64,
    /// No metric puts the first model above the second that the other puts below.
    pub agrees: bool,
}

/// Differences this close to nothing are rounding.
const TIE: f64 = 1e-12;

/// Every metric besides the judged ones, task by task, and then the aggregate by every metric that all tasks have. (A
/// mean win rate has none: the rivals' table is by the judged metrics.) `judged` names each task's judged metric. Metrics
/// that only one of the two models has are left out.
pub fn compare_metrics(
    aggregate: &Aggregate,
    judged: &[&str],
    first: &Evaluation,
    second: &Evaluation,
) -> Vec<MetricComparison> {
    let pairs = || judged.iter().zip(first.tasks.iter().zip(&second.tasks));
    let mut found: Vec<MetricComparison> =
        pairs().flat_map(|(judged, (first, second))| on_task(judged, first, second)).collect();
    if first.tasks.len() > 1 && aggregate.kind() != AggregateKind::MeanWinRate {
        let metrics = distinct(judged, &first.tasks);
        found.extend(metrics.into_iter().filter_map(|metric| {
            over_tasks(aggregate, judged, metric, &first.tasks, &second.tasks)
        }));
    }
    found
}

fn on_task(judged: &str, first: &TaskScore, second: &TaskScore) -> Vec<MetricComparison> {
    let compare = |metric: &str| {
        let scores = (score_by(metric, "", first)?, score_by(metric, "", second)?);
        let judged_scores = (first.accuracy().0, second.accuracy().0);
        let task = Some(first.task.clone());
        Some(MetricComparison::new(task, metric, scores, judged.to_owned(), judged_scores))
    };
    first.others.iter().filter_map(|other| compare(&other.metric)).collect()
}

fn over_tasks(
    aggregate: &Aggregate,
    judged: &[&str],
    metric: &str,
    first: &[TaskScore],
    second: &[TaskScore],
) -> Option<MetricComparison> {
    let by_metric = |tasks: &[TaskScore]| {
        let scores = judged.iter().zip(tasks).map(|(judged, task)| score_by(metric, judged, task));
        Some(aggregate.value(&scores.collect::<Option<Vec<f64>>>()?))
    };
    let by_judged = |tasks: &[TaskScore]| {
        aggregate.value(&tasks.iter().map(|task| task.accuracy().0).collect::<Vec<_>>())
    };
    let scores = (by_metric(first)?, by_metric(second)?);
    let judged_scores = (by_judged(first), by_judged(second));
    Some(MetricComparison::new(None, metric, scores, aggregate.to_string(), judged_scores))
}

/// Names of the metrics by which tasks could be aggregated anew, in the order in which they are met.
fn distinct<'a>(judged: &[&'a str], tasks: &'a [TaskScore]) -> Vec<&'a str> {
    let others = tasks.iter().flat_map(|task| &task.others).map(|other| other.metric.as_str());
    let mut metrics = Vec::new();
    for metric in judged.iter().copied().chain(others) {
        // By a metric that judges every task the aggregate is the judged one.
        if !metrics.contains(&metric) && judged.iter().any(|judged| *judged != metric) {
            metrics.push(metric);
        }
    }
    metrics
}

fn score_by(metric: &str, judged: &str, task: &TaskScore) -> Option<f64> {
    if metric == judged {
        return Some(task.accuracy().0);
    }
    task.others.iter().find(|other| other.metric == metric).map(|other| other.score)
}

impl MetricComparison {
    fn new(
        task: Option<String>,
        metric: &str,
        (first, second): (f64, f64),
        judged: String,
        (judged_first, judged_second): (f64, f64),
    ) -> Self {
        let (ours, theirs) = (first - second, judged_first - judged_second);
        let opposed = (ours > TIE && theirs < -TIE) || (ours < -TIE && theirs > TIE);
        let metric = metric.to_owned();
        let agrees = !opposed;
        Self { task, metric, first, second, judged, judged_first, judged_second, agrees }
    }

    /// One sentence about a disagreement, with the better model first in it and scores ×100; the names are the models'.
    pub fn sentence(&self, first: &str, second: &str) -> String {
        let turned = self.second > self.first;
        let order = |a, b| if turned { (b, a) } else { (a, b) };
        let (better, worse) = if turned { (second, first) } else { (first, second) };
        let (high, low) = order(self.first, self.second);
        let (judged_high, judged_low) = order(self.judged_first, self.judged_second);
        let place = self.task.as_ref().map_or("over all tasks".to_owned(), |t| format!("on {t}"));
        format!(
            "{place}, {} puts {better} above {worse}: {:.1} against {:.1} ({}, judged: {:.1} against {:.1})",
            self.metric,
            Accuracy(high),
            Accuracy(low),
            self.judged,
            Accuracy(judged_high),
            Accuracy(judged_low)
        )
    }
}
