//! Which of several models can be told apart.

use serde::Serialize;

use super::pairs::{PairingError, pair};
use super::sign_flip::{self, Draws, Tail};
use super::{Aggregate, SIGNIFICANCE, holm};
use crate::outcome::TaskScore;
use crate::units::Seed;

/// Two of several models, by their indices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairwiseTest {
    /// The lower index.
    pub first: usize,
    /// The higher index.
    pub second: usize,
    /// Two-sided, of [`sign_flip`](super::sign_flip()).
    pub p_value: f64,
    /// The same after [`holm()`] over all pairs.
    pub adjusted: f64,
}

/// Of models with these numbers, scored on the same documents, how many but `winner` are not significantly different from
/// it, at 5 % over all pairs.
///
/// # Errors
/// As [`all_pairs`].
pub fn indistinguishable(
    aggregate: &Aggregate,
    models: &[(u64, &[TaskScore])],
    winner: u64,
    seed: Seed,
) -> Result<usize, PairingError> {
    // The draws depend on who is first: always the lower number.
    let mut models = models.to_vec();
    models.sort_by_key(|(number, _)| *number);
    let scores: Vec<&[TaskScore]> = models.iter().map(|(_, scores)| *scores).collect();
    let tests = all_pairs(aggregate, &scores, seed)?;
    let numbers = |test: &PairwiseTest| [models[test.first].0, models[test.second].0];
    let of_winner = tests.iter().filter(|test| numbers(test).contains(&winner));
    Ok(of_winner.filter(|test| test.adjusted > SIGNIFICANCE).count())
}

/// Draws of each test: the least p-value that they can give is a tenth of what Holm's correction of 5 % asks of the first
/// of 66 pairs (12 models).
const DRAWS: Draws = Draws { most: 13_200, enough: 30 };

/// Every pair of `models`, scored on the same documents. Corrected over all pairs and not just those with one model,
/// because which model is the best is read from the same documents.
///
/// # Errors
/// When two were not measured on the same documents of the same tasks.
pub fn all_pairs(
    aggregate: &Aggregate,
    models: &[&[TaskScore]],
    seed: Seed,
) -> Result<Vec<PairwiseTest>, PairingError> {
    let indices = (0..models.len()).flat_map(|a| (a + 1..models.len()).map(move |b| (a, b)));
    let test = |(first, second): (usize, usize)| {
        let pairs = pair(models[first], models[second])?;
        let p_value = sign_flip::of_pairs(aggregate, &pairs, Tail::TwoSided, seed, DRAWS);
        Ok(PairwiseTest { first, second, p_value, adjusted: p_value })
    };
    let mut tests = indices.map(test).collect::<Result<Vec<PairwiseTest>, PairingError>>()?;
    let p_values: Vec<f64> = tests.iter().map(|test| test.p_value).collect();
    for (test, adjusted) in tests.iter_mut().zip(holm(&p_values)) {
        test.adjusted = adjusted;
    }
    Ok(tests)
}
