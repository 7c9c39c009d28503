//! Whether one model is better than another on the same documents, or luckier.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::Aggregate;
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

/// Why two evaluations cannot be paired.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// Not the same tasks, or not in the same order.
    #[error("cannot pair tasks [{}] with [{}]", first.join(", "), second.join(", "))]
    Tasks {
        /// Of the first evaluation.
        first: Vec<String>,
        /// Of the second evaluation.
        second: Vec<String>,
    },
    /// A different number of documents of one task.
    #[error("cannot pair {first} with {second} documents of task {task}")]
    Documents {
        /// The task that differs.
        task: String,
        /// Documents in the first evaluation.
        first: usize,
        /// Documents in the second evaluation.
        second: usize,
    },
    /// An interval needs at least one resample.
    #[error("cannot estimate from 0 resamples")]
    NoResamples,
}

/// Scores of both models, document by document, one list per task.
type Pairs = Vec<Vec<(f64, f64)>>;

/// Compares two models document by document. Both draws keep the pairing and the number of documents per task: the
/// bootstrap draws documents with replacement within each task, the same for both models (percentile interval: Efron &
/// Tibshirani 1993, ch. 13); the permutation test swaps the two models' answers to a document with probability one half,
/// with the `+1` of Phipson & Smyth (2010). `seed` fixes the result; `resamples` is the number of draws of each.
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
    let pairs = pair(a, b)?;
    let observed = difference(aggregate, &pairs, |task, document| task[document]);
    let mut rng = ChaCha8Rng::seed_from_u64(seed.0);
    let mut bootstrap: Vec<f64> = (0..resamples)
        .map(|_| difference(aggregate, &pairs, |task, _| task[rng.random_range(0..task.len())]))
        .collect();
    bootstrap.sort_by(f64::total_cmp);
    let as_extreme = (0..resamples)
        .map(|_| {
            let swapped =
                |task: &[(f64, f64)], document: usize| swap_half(task[document], &mut rng);
            difference(aggregate, &pairs, swapped)
        })
        .filter(|drawn| drawn.abs() >= observed.abs() - TIE)
        .count();
    Ok(PairedDifference {
        difference: observed,
        low: quantile(&bootstrap, 0.025),
        high: quantile(&bootstrap, 0.975),
        p_value: (as_extreme + 1) as f64 / (resamples + 1) as f64,
    })
}

/// Differences this close are equal but for rounding of the logarithms.
const TIE: f64 = 1e-12;

fn pair(a: &Evaluation, b: &Evaluation) -> Result<Pairs, PairingError> {
    let names = |evaluation: &Evaluation| -> Vec<String> {
        (evaluation.tasks.iter()).map(|task| task.task.clone()).collect()
    };
    if names(a) != names(b) {
        return Err(PairingError::Tasks { first: names(a), second: names(b) });
    }
    a.tasks.iter().zip(&b.tasks).map(pair_task).collect()
}

fn pair_task((a, b): (&TaskScore, &TaskScore)) -> Result<Vec<(f64, f64)>, PairingError> {
    if a.items.len() != b.items.len() {
        return Err(PairingError::Documents {
            task: a.task.clone(),
            first: a.items.len(),
            second: b.items.len(),
        });
    }
    let answers = a.items.iter().zip(&b.items);
    Ok(answers.map(|(a, b)| (a.score, b.score)).collect())
}

/// Difference of the aggregates when `draw` says which pair of scores stands for each document of a task.
fn difference(
    aggregate: &Aggregate,
    pairs: &Pairs,
    mut draw: impl FnMut(&[(f64, f64)], usize) -> (f64, f64),
) -> f64 {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for task in pairs {
        let (mut first, mut second) = (0.0, 0.0);
        for document in 0..task.len() {
            let (a, b) = draw(task, document);
            first += a;
            second += b;
        }
        let documents = task.len() as f64;
        ours.push(first / documents);
        theirs.push(second / documents);
    }
    aggregate.value(&ours) - aggregate.value(&theirs)
}

fn swap_half((a, b): (f64, f64), rng: &mut ChaCha8Rng) -> (f64, f64) {
    if rng.random() { (b, a) } else { (a, b) }
}

/// Linear interpolation between order statistics (type 7 of Hyndman & Fan 1996). `sorted` is not empty.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    sorted[below] + (position - position.floor()) * (sorted[above] - sorted[below])
}
