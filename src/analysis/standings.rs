//! The named models side by side: base, experts, uniform average, winner.

use serde::Serialize;

use crate::objective::{PairedDifference, RESAMPLES, paired_difference};
use crate::record::{GeometricMean, Trial};
use crate::units::{Seed, Split};

/// The name of the recipe that the run chose.
const WINNER: &str = "winner";

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
    /// Over all tasks.
    pub geometric_mean: GeometricMean,
    /// In `[0, 1]`, one per task in the order of the search space.
    pub accuracies: Vec<f64>,
    /// Documents scored.
    pub items: usize,
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

    /// Search minus holdout geometric mean: what choosing the best of many on the same documents added to its score.
    pub fn gap(&self) -> Option<f64> {
        let (search, holdout) = (self.search.as_ref()?, self.holdout.as_ref()?);
        Some(search.geometric_mean.value - holdout.geometric_mean.value)
    }
}

/// The winner against one baseline on the same holdout documents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The baseline.
    pub baseline: String,
    /// Winner minus baseline; not corrected for the number of baselines.
    pub difference: PairedDifference,
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

pub(super) fn comparisons(standings: &[Standing], trials: &[Trial], seed: Seed) -> Vec<Comparison> {
    let holdout =
        |standing: &Standing| row(trials, standing.trial, Split::Holdout)?.outcome.evaluation();
    let Some((winner, baselines)) = standings.split_last() else {
        return Vec::new();
    };
    let Some(best) = holdout(winner).filter(|_| winner.name == WINNER) else {
        return Vec::new();
    };
    (baselines.iter())
        .filter_map(|baseline| {
            let difference = paired_difference(best, holdout(baseline)?, seed, RESAMPLES).ok()?;
            Some(Comparison { baseline: baseline.name.clone(), difference })
        })
        .collect()
}

/// The first row: of a candidate scored again, the one that the optimizer saw.
fn row(trials: &[Trial], number: u64, split: Split) -> Option<&Trial> {
    (trials.iter()).find(|trial| trial.trial == number && trial.split == split)
}

fn score(trials: &[Trial], number: u64, split: Split) -> Option<SplitScore> {
    let trial = row(trials, number, split)?;
    let evaluation = trial.outcome.evaluation()?;
    Some(SplitScore {
        geometric_mean: trial.geometric_mean?,
        accuracies: (evaluation.tasks.iter()).map(|task| task.accuracy().0).collect(),
        items: evaluation.items(),
    })
}
