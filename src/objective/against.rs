//! One model against each of several others.

use serde::Serialize;

use super::{Aggregate, McNemar, PairedDifference, RESAMPLES, holm, paired_difference};
use crate::outcome::Evaluation;
use crate::units::Seed;

/// Adjusted p-values up to this are called significant.
pub const SIGNIFICANCE: f64 = 0.05;

/// One of several comparisons of the same model, on the same documents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contest {
    /// Of the aggregates; its p-value is not corrected for the number of comparisons.
    pub difference: PairedDifference,
    /// The same p-value after [`holm()`] over all comparisons.
    pub adjusted_p_value: f64,
    /// The tasks whose documents are right or wrong, one by one; not corrected.
    pub tasks: Vec<McNemar>,
}

impl Contest {
    /// Whether the difference is more than chance explains, at 5 % over all comparisons.
    pub fn is_significant(&self) -> bool {
        self.adjusted_p_value <= SIGNIFICANCE
    }
}

/// `ours` against each of `others`; `None` for one that was not measured on the same documents of the same tasks.
pub fn against_each(
    aggregate: &Aggregate,
    ours: &Evaluation,
    others: &[&Evaluation],
    seed: Seed,
) -> Vec<Option<Contest>> {
    let paired = |theirs: &&Evaluation| {
        let difference = paired_difference(aggregate, ours, theirs, seed, RESAMPLES).ok()?;
        let tasks = ours.tasks.iter().zip(&theirs.tasks);
        let tasks = tasks.filter_map(|(ours, theirs)| McNemar::of(ours, theirs)).collect();
        Some(Contest { difference, adjusted_p_value: difference.p_value, tasks })
    };
    let mut contests: Vec<Option<Contest>> = others.iter().map(paired).collect();
    let p_values: Vec<f64> = contests.iter().flatten().map(|c| c.difference.p_value).collect();
    for (contest, adjusted) in contests.iter_mut().flatten().zip(holm(&p_values)) {
        contest.adjusted_p_value = adjusted;
    }
    contests
}
