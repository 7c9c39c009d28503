//! What is set about racing.

use serde::{Deserialize, Serialize};

/// How many documents a generation sees, who sees them all, and how they rotate.
///
/// The defaults were chosen at equal numbers of scored documents on a synthetic merge landscape of 5 tasks with binomial
/// noise. Numbers of documents are at most those of the largest task.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Racing {
    /// Share of a generation's documents that every candidate is scored on; 1: nobody is stopped.
    pub first_share: f64,
    /// Share of the population that goes on to the rest of the documents.
    pub keep_share: f64,
    /// Share of a generation's documents that are the same in every generation.
    pub anchor_share: f64,
    /// Documents per task of the first generation, and the least of any.
    pub least_docs: usize,
    /// The most documents per task of a generation.
    pub most_docs: usize,
    /// Share of the variance between candidates' scores that shall be the candidates' own and not the documents'; what
    /// the number of documents is chosen for, in `(0, 1)`.
    pub reliability: f64,
    /// Bootstrap resamples per candidate that the optimizer is told; 0: none.
    pub resamples: usize,
}

impl Default for Racing {
    fn default() -> Self {
        Racing {
            first_share: 0.5,
            keep_share: 0.5,
            anchor_share: 0.3,
            least_docs: 15,
            most_docs: 100,
            reliability: 0.5,
            resamples: 0,
        }
    }
}

/// Candidates per generation for `genes` genes that can vary, where a budget is expected to score `candidates` of them on
/// few documents each; rounded up to a multiple of `workers`.
///
/// The setting of CMA-ES without noise, 4 + ⌊3 ln N⌋, times √`candidates`/9.6, from 2 to 16: a longer search has the larger
/// population, which errs less often in its categories, and the more generations. Measured at 3300 and 13,000 candidates,
/// where 6 and 12 were best or among the best.
pub fn population(genes: usize, candidates: f64, workers: usize) -> usize {
    let noiseless = 4 + (3.0 * (genes.max(1) as f64).ln()) as usize;
    let factor = (candidates.max(0.0).sqrt() / 9.6).clamp(2.0, 16.0);
    ((factor * noiseless as f64).round() as usize).next_multiple_of(workers.max(1))
}
