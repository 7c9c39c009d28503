//! Whether one model is better than another on the same documents, or luckier.

use serde::Serialize;

use super::pairs::{PairingError, pair};
use super::sign_flip::{self, Draws, Tail};
use super::{Aggregate, bootstrap};
use crate::outcome::{Evaluation, TaskScore};
use crate::units::Seed;

/// Difference of two aggregates measured on the same documents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedDifference {
    /// First minus second, in `[-1, 1]`.
    pub difference: f64,
    /// 2.5 % point of the paired bootstrap.
    pub low: f64,
    /// 97.5 % point of the paired bootstrap.
    pub high: f64,
    /// Two-sided p-value of the sign-flip permutation test of "no difference".
    pub p_value: f64,
}

/// Compares two models document by document. Both draws keep the pairing and the number of documents per task: the
/// bootstrap draws documents with replacement within each task, the same for both models (percentile interval: Efron &
/// Tibshirani 1993, ch. 13); the permutation test is [`sign_flip`](super::sign_flip()). `seed` fixes the result; `resamples` is the
/// number of draws of each.
///
/// # Errors
/// When the two were not measured on the same documents of the same tasks, or `resamples` is 0.
pub fn paired_difference(
    aggregate: &Aggregate,
    a: &Evaluation,
    b: &Evaluation,
    seed: Seed,
    resamples: usize,
) -> Result<PairedDifference, PairingError> {
    if resamples == 0 {
        return Err(PairingError::NoResamples);
    }
    let pairs = pair(&a.tasks, &b.tasks)?;
    let drawn = bootstrap::differences(aggregate, &pairs, seed, resamples);
    Ok(PairedDifference {
        difference: value(aggregate, &a.tasks) - value(aggregate, &b.tasks),
        low: quantile(&drawn, 0.025),
        high: quantile(&drawn, 0.975),
        p_value: sign_flip::of_pairs(
            aggregate,
            &pairs,
            Tail::TwoSided,
            seed,
            Draws::all(resamples),
        ),
    })
}

pub(super) fn value(aggregate: &Aggregate, tasks: &[TaskScore]) -> f64 {
    aggregate.value(&tasks.iter().map(|task| task.accuracy().0).collect::<Vec<f64>>())
}

/// Linear interpolation between order statistics (type 7 of Hyndman & Fan 1996). `sorted` is not empty.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    sorted[below] + (position - position.floor()) * (sorted[above] - sorted[below])
}
