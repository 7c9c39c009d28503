//! One evaluation of two that were made of the same model on different documents.

use super::{DocSubset, Evaluation, ItemScore, MetricScore, TaskScore};
use crate::units::Seconds;

/// Why two evaluations cannot be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// They have other tasks, or other numbers of them.
    #[error("the parts of a trial were scored on different tasks")]
    Tasks,
    /// A task's positions are not one for each document scored, or a document is in both.
    #[error("task {task}: the documents of two parts of a trial are not those scored, or overlap")]
    Documents {
        /// Name of the task.
        task: String,
    },
}

impl Evaluation {
    /// What would have been measured on the documents of both: `docs` are this evaluation's, `other_docs` the other's, none
    /// of them in both. Scores come in the split's order; merging and scoring took as long as both together; the relative
    /// time is the mean of both, weighted by their documents.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn joined(
        &self,
        docs: &DocSubset,
        other: &Evaluation,
        other_docs: &DocSubset,
    ) -> Result<Evaluation, JoinError> {
        let tasks = self.tasks.len();
        if [other.tasks.len(), docs.0.len(), other_docs.0.len()].iter().any(|&own| own != tasks) {
            return Err(JoinError::Tasks);
        }
        let ours = self.tasks.iter().zip(&docs.0);
        let theirs = other.tasks.iter().zip(&other_docs.0);
        let tasks = ours.zip(theirs).map(|(ours, theirs)| join_task(ours, theirs));
        let tasks: Vec<TaskScore> = tasks.collect::<Result<_, _>>()?;
        let (own, new) = (self.items() as f64, other.items() as f64);
        let score_seconds = Seconds(self.score_seconds.0 + other.score_seconds.0);
        Ok(Evaluation {
            tasks,
            merge_seconds: Seconds(self.merge_seconds.0 + other.merge_seconds.0),
            score_seconds,
            seconds_per_item: Seconds(score_seconds.0 / (own + new).max(1.0)),
            relative_time: weighted((self.relative_time, own), (other.relative_time, new)),
            peak_bytes: self.peak_bytes.max(other.peak_bytes),
        })
    }
}

/// A task's scores and where they stand in the split.
type Placed<'a> = (&'a TaskScore, &'a Vec<u32>);

fn join_task(ours: Placed, theirs: Placed) -> Result<TaskScore, JoinError> {
    let task = ours.0.task.clone();
    if theirs.0.task != task {
        return Err(JoinError::Tasks);
    }
    let complete = |(scored, docs): Placed| scored.items.len() == docs.len();
    let mut placed: Vec<(u32, ItemScore)> = by_place(ours).chain(by_place(theirs)).collect();
    placed.sort_by_key(|(doc, _)| *doc);
    if !(complete(ours) && complete(theirs) && placed.is_sorted_by(|a, b| a.0 < b.0)) {
        return Err(JoinError::Documents { task });
    }
    let items = placed.into_iter().map(|(_, item)| item).collect();
    Ok(TaskScore { task, items, others: join_others(ours.0, theirs.0) })
}

fn by_place<'a>((scored, docs): Placed<'a>) -> impl Iterator<Item = (u32, ItemScore)> + 'a {
    docs.iter().copied().zip(scored.items.iter().copied())
}

/// Metrics that both have; of a part without documents, the other's.
fn join_others(ours: &TaskScore, theirs: &TaskScore) -> Vec<MetricScore> {
    let (own, new) = (ours.items.len() as f64, theirs.items.len() as f64);
    let join = |metric: &MetricScore| {
        let same = theirs.others.iter().find(|other| other.metric == metric.metric)?;
        let score = weighted((metric.score, own), (same.score, new));
        Some(MetricScore { metric: metric.metric.clone(), score })
    };
    ours.others.iter().filter_map(join).collect()
}

/// Mean of two values by their weights; what weighs nothing counts nothing, whatever it is.
fn weighted(first: (f64, f64), second: (f64, f64)) -> f64 {
    match (first.1 > 0.0, second.1 > 0.0) {
        (true, true) => (first.0 * first.1 + second.0 * second.1) / (first.1 + second.1),
        (false, true) => second.0,
        _ => first.0,
    }
}
