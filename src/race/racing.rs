//! What is set about racing.

use serde::{Deserialize, Serialize};

/// How many documents a generation sees, who sees them all, and how they rotate.
///
/// The defaults were measured at equal numbers of scored documents on a synthetic merge landscape of 5 tasks with
/// binomial noise; `benches/optimizers` runs the same code.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Racing {
    /// Share of a generation's documents that every candidate is scored on; 1: nobody is stopped.
    pub first_share: f64,
    /// Share of the population that goes on to the rest of the documents.
    pub keep_share: f64,
    /// Share of [`least_docs`](Self::least_docs) that is in every generation.
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
            reliability: 0.3,
            resamples: 0,
        }
    }
}
