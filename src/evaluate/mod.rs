//! From a recipe to an outcome: merge in memory, load, score.
//!
//! [`Evaluator`] is the seam between the search, which knows recipes and outcomes, and everything that knows tensors.
//! The local pool of [`Workers`] stands on this side of it.

mod candle_evaluator;
mod memory;
mod pack;
mod resident;
mod scoring;
mod tokenize;
mod verify;
mod workers;

pub use candle_evaluator::{CandleEvaluator, OpenError, open_checkpoint};
pub use pack::Pack;
pub use scoring::{ScoreError, ScoringSet};
pub use tokenize::TokenizeError;
pub use verify::{VerifyError, verify_export};
pub use workers::Workers;

use crate::checkpoint::CheckpointError;
use crate::outcome::Outcome;
use crate::recipe::Recipe;
use crate::units::Split;

/// Scores recipes. Called from several workers at once.
pub trait Evaluator: Sync {
    /// Scores `recipe` on the documents of `split`.
    ///
    /// # Errors
    /// Only for what every later recipe would meet too. A recipe that cannot be merged, or whose model gives no finite
    /// score, is [`Outcome::Infeasible`].
    fn evaluate(&self, recipe: &Recipe, split: Split) -> Result<Outcome, EvaluateError>;

    /// Number of documents of `split`, over all tasks.
    fn items(&self, split: Split) -> usize;
}

/// Why no recipe can be scored any more.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// A checkpoint that could be read when the search began cannot be read any more.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
