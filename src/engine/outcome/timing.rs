//! What a model costs: counted, and measured.

use serde::Serialize;

use super::Estimate;
use crate::units::{Bytes, Seconds};

/// What scoring takes, counted: the same on every machine and in every run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Cost {
    /// Floating-point operations per document (a multiplication and an addition are two), mean over the documents scored.
    pub flops_per_item: f64,
    /// Weights that must be in memory to score any document, as the evaluator stores them. What several merges share counts
    /// once.
    pub weight_bytes: Bytes,
}

/// How long a model takes and what it holds, measured in turns with the base model while nothing else runs here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Timing {
    /// Time of a block of documents from their tokens to the answers, the base model's = 1: median over the rounds.
    pub relative_time: Estimate,
    /// Seconds per document on one core.
    pub seconds_per_item: Estimate,
    /// Seconds per generated token behind a text's first, up to eight texts at once, on one core; `None` where no task asks for
    /// a text of more than one token.
    pub seconds_per_token: Option<Estimate>,
    /// Time for making the model: merging and packing its weights, on one core.
    pub load_seconds: Seconds,
    /// Growth of the process's resident memory by the model, or the bytes of its weights where the memory of an earlier one was
    /// taken again. What several merges of a recipe have in common counts once, the base model, which a gate may need, not at
    /// all.
    pub resident_bytes: Bytes,
    /// How often it was measured.
    pub rounds: usize,
}
