//! From a recipe to an outcome: merge in memory, load, score.
//!
//! [`Evaluator`] is the seam between the search, which knows recipes and outcomes, and everything that knows tensors.
//! [`Workers`] drive candidates side by side; all that computes runs on the threads of one [`Pool`].
//!
//! Documents become token sequences, sequences become packs ([`ScoringSet`]), and the packs of all candidates in flight are
//! what the threads share; a [`Scorer`] reads them, on those threads or on a device. What equal candidates or candidates with
//! equal first layers have in common is computed once.

mod answering;
mod answers;
mod budget;
mod candle_evaluator;
mod changed_tasks;
mod chat;
mod columns;
mod counted;
mod document_sets;
mod encoded;
mod fault;
mod fingerprint;
mod generation;
mod headers;
mod infeasible;
mod kit;
mod load;
mod lru;
mod memory;
mod open;
mod pack;
mod parts;
mod planned;
mod pool;
mod prompt_changes;
mod questions;
mod resident;
mod routing;
mod run;
mod scorer;
mod scoring;
mod set_builder;
mod source;
mod states;
mod task_tokenizer;
mod timing;
mod token_gates;
mod tokenize;
mod tokenize_error;
mod verify;
mod workers;

pub use answering::{Answering, Decided, DocIndex};
pub use answers::{DocAnswer, Documents};
pub use budget::Resources;
pub use candle_evaluator::CandleEvaluator;
pub use chat::ready_tasks;
pub use columns::Column;
pub use counted::Demand;
pub use generation::{
    GeneratedText, TextError, TextPack, TextRequest, TextRun, TextSet, TextSetError,
};
pub use infeasible::{Infeasible, InfeasibleMetric};
pub use load::{LoadError, load_network, network_spec};
pub use memory::peak as peak_memory;
pub use open::{OpenError, check_names, open_checkpoint, open_tokenizer};
pub use planned::{PlanError, plan_merge};
pub use pool::Pool;
pub use prompt_changes::changed_prompt;
pub use routing::{AskError, FittedGate, RoutingError, Term};
pub use scorer::Scorer;
pub use scoring::{Room, ScoreError, ScoringSet, SetError};
pub use source::{ReadyModel, Source, SourceError};
pub use states::Reuse;
pub use task_tokenizer::TaskTokenizer;
pub use timing::Lap;
pub use token_gates::GateError;
pub use tokenize_error::{DocPlace, TokenizeError};
pub use verify::{SecondOpinion, Verification, VerifyError, verify_export};
pub use workers::Workers;

use crate::checkpoint::CheckpointError;
use crate::outcome::{DocSubset, Outcome, Timing};
use crate::recipe::Recipe;
use crate::units::Split;

/// Scores recipes. Called from several workers at once.
pub trait Evaluator: Sync {
    /// Scores `recipe` on the documents of `split`, or on those of them that `docs` names. A document's score has the same
    /// bits whichever others are scored with it.
    ///
    /// # Errors
    /// Only for what every later recipe would meet too. A recipe that cannot be merged, or whose model gives no finite
    /// score, is [`Outcome::Infeasible`].
    fn evaluate(
        &self,
        recipe: &Recipe,
        split: Split,
        docs: Option<&DocSubset>,
    ) -> Result<Outcome, EvaluateError>;

    /// Measures how long the recipes' models take and what they hold, in turns with the base model and with each other, while
    /// nothing else runs here. `None`: a recipe that cannot be merged or scored.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`].
    fn times(
        &self,
        recipes: &[&Recipe],
        split: Split,
        rounds: usize,
    ) -> Result<Vec<Option<Timing>>, EvaluateError>;

    /// Number of documents of `split`, by task.
    fn docs(&self, split: Split) -> Vec<usize>;

    /// Number of documents of `split`, over all tasks.
    fn items(&self, split: Split) -> usize {
        self.docs(split).into_iter().sum()
    }
}

/// Why no recipe can be scored any more.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// A checkpoint that could be read when the search began cannot be read any more.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Documents that were asked for are not there, or could be prepared with the whole split but not without the others.
    #[error("preparing a part of the documents of {split}")]
    Set {
        /// Which split.
        split: Split,
        /// Why.
        source: Box<SetError>,
    },
}
