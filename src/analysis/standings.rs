//! The named models side by side: base, experts, uniform average, winner.

use serde::Serialize;

use crate::objective::{
    McNemar, MetricComparison, PairedDifference, against_each, compare_metrics,
};
use crate::outcome::{Evaluation, TaskScore};
use crate::record::{Estimate, RunManifest, Trial};
use crate::units::Split;

/// The name of the recipe that the run chose.
pub(super) const WINNER: &str = "winner";

/// One named model on every split it was scored on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// `base`, an expert, `uniform` or `winner`.
    pub name: String,
    /// Its number within the run.
    pub trial: u64,
    /// What the optimizer saw.
    pub search: Option<SplitScore>,
    /// What chose the winner.
    pub selection: Option<SplitScore>,
    /// What no choice depended on.
    pub holdout: Option<SplitScore>,
}

/// A model's score on one split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitScore {
    /// What the run ranks by.
    pub objective: Estimate,
    /// The plain geometric mean over all tasks.
    pub geometric_mean: Estimate,
    /// Of the judged metric, in `[0, 1]`, one per task in the order of the search space.
    pub accuracies: Vec<f64>,
    /// Of the other metrics, task by task.
    pub others: Vec<OtherScore>,
    /// Documents scored.
    pub items: usize,
}

/// A task by a metric that is not judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OtherScore {
    /// The task.
    pub task: String,
    /// The metric.
    pub metric: String,
    /// Mean over the documents.
    pub score: f64,
}

impl Standing {
    /// Where it was scored on `split`.
    pub fn score(&self, split: Split) -> Option<&SplitScore> {
        match split {
            Split::Search => self.search.as_ref(),
            Split::Selection => self.selection.as_ref(),
            Split::Holdout => self.holdout.as_ref(),
        }
    }

    /// Search minus holdout objective: what choosing the best of many on the same documents added to its score.
    pub fn gap(&self) -> Option<f64> {
        let (search, holdout) = (self.search.as_ref()?, self.holdout.as_ref()?);
        Some(search.objective.value - holdout.objective.value)
    }
}

/// The winner against one baseline on the same holdout documents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The baseline.
    pub baseline: String,
    /// Winner minus baseline; its p-value is not corrected for the number of baselines.
    pub difference: PairedDifference,
    /// The p-value after Holm's correction for the number of baselines.
    pub adjusted_p_value: f64,
    /// Whether that is at most 5 %.
    pub significant: bool,
    /// The winner (first) and the baseline (second) on each task whose documents are right or wrong; not corrected.
    pub tasks: Vec<McNemar>,
}

/// One per name, baselines in the order they were scored, the winner last. A winner's row on the search split was written
/// before it was known to win, and is found by the trial's number.
pub(super) fn standings(trials: &[Trial]) -> Vec<Standing> {
    let mut named: Vec<(&str, u64)> = Vec::new();
    for trial in trials {
        if let Some(name) = &trial.name
            && named.iter().all(|(known, _)| known != name)
        {
            named.push((name, trial.trial));
        }
    }
    named.sort_by_key(|(name, _)| *name == WINNER);
    (named.into_iter())
        .map(|(name, number)| Standing {
            name: name.to_owned(),
            trial: number,
            search: score(trials, number, Split::Search),
            selection: score(trials, number, Split::Selection),
            holdout: score(trials, number, Split::Holdout),
        })
        .collect()
}

/// The winner (first) and a baseline (second) by every metric that is not judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OtherMetrics {
    /// The baseline.
    pub baseline: String,
    /// Task by task, and then over all tasks.
    pub metrics: Vec<MetricComparison>,
}

pub(super) fn comparisons(
    standings: &[Standing],
    trials: &[Trial],
    manifest: &RunManifest,
) -> Vec<Comparison> {
    let rivals = against_baselines(standings, trials, |baseline, ours, theirs| {
        Some((baseline.to_owned(), ours.clone(), theirs.clone()))
    });
    let Some((_, ours, _)) = rivals.first() else {
        return Vec::new();
    };
    let theirs: Vec<&Evaluation> = rivals.iter().map(|(_, _, theirs)| theirs).collect();
    let contests = against_each(&manifest.objective, ours, &theirs, manifest.seed);
    (rivals.iter().zip(contests))
        .filter_map(|((baseline, ..), contest)| Some((baseline, contest?)))
        .map(|(baseline, contest)| Comparison {
            baseline: baseline.clone(),
            difference: contest.difference,
            adjusted_p_value: contest.adjusted_p_value,
            significant: contest.is_significant(),
            tasks: contest.tasks,
        })
        .collect()
}

pub(super) fn other_metrics(
    standings: &[Standing],
    trials: &[Trial],
    manifest: &RunManifest,
) -> Vec<OtherMetrics> {
    let judged: Vec<&str> = manifest.tasks.iter().map(|task| task.metric.as_str()).collect();
    let compare = |baseline: &str, ours: &Evaluation, theirs: &Evaluation| {
        let metrics = compare_metrics(&manifest.objective, &judged, ours, theirs);
        (!metrics.is_empty()).then(|| OtherMetrics { baseline: baseline.to_owned(), metrics })
    };
    against_baselines(standings, trials, compare)
}

/// What `compare` finds of the winner and each baseline on holdout; nothing before the winner was scored there.
fn against_baselines<T>(
    standings: &[Standing],
    trials: &[Trial],
    compare: impl Fn(&str, &Evaluation, &Evaluation) -> Option<T>,
) -> Vec<T> {
    let holdout =
        |standing: &Standing| row(trials, standing.trial, Split::Holdout)?.outcome.evaluation();
    let Some((winner, baselines)) = standings.split_last() else {
        return Vec::new();
    };
    let Some(best) = holdout(winner).filter(|_| winner.name == WINNER) else {
        return Vec::new();
    };
    // A baseline that is the winner has the winner's number.
    (baselines.iter().filter(|baseline| baseline.trial != winner.trial))
        .filter_map(|baseline| compare(&baseline.name, best, holdout(baseline)?))
        .collect()
}

/// The first row: of a candidate scored again, the one that the optimizer saw.
/// The row on the whole split, where there is one.
fn row(trials: &[Trial], number: u64, split: Split) -> Option<&Trial> {
    let rows = || trials.iter().filter(|trial| trial.trial == number && trial.split == split);
    rows().find(|trial| trial.docs.is_none()).or_else(|| rows().next())
}

fn score(trials: &[Trial], number: u64, split: Split) -> Option<SplitScore> {
    let trial = row(trials, number, split)?;
    let evaluation = trial.outcome.evaluation()?;
    Some(SplitScore {
        objective: trial.objective?,
        geometric_mean: trial.geometric_mean?,
        accuracies: (evaluation.tasks.iter()).map(|task| task.accuracy().0).collect(),
        others: (evaluation.tasks.iter()).flat_map(others).collect(),
        items: evaluation.items(),
    })
}

fn others(task: &TaskScore) -> impl Iterator<Item = OtherScore> {
    task.others.iter().map(|other| OtherScore {
        task: task.task.clone(),
        metric: other.metric.clone(),
        score: other.score,
    })
}
