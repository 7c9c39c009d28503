//! Why documents cannot be routed.

use crate::evaluate::TokenizeError;

/// What a document router asks for and cannot have.
#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    /// The gate tells other tasks apart than are scored.
    #[error("document_router: the gate tells {classes} tasks apart, and {tasks} are scored")]
    Tasks { classes: usize, tasks: usize },
    /// A class without a merge, or a merge for no class.
    #[error("document_router: {routes} routes for {classes} classes; each class needs one")]
    Routes { routes: usize, classes: usize },
    /// A route to nowhere.
    #[error("document_router: a route leads to merge {merge}, and there are merges 0 to {last}")]
    Merge { merge: usize, last: usize },
    /// A merge that is itself routed.
    #[error("document_router: merge {merge} has a document router of its own")]
    Nested { merge: usize },
    /// Merges whose tokens are called differently.
    #[error("document_router: merge {merge} has another `tokenizer` than the first")]
    Vocabulary { merge: usize },
    /// Not on the CPU.
    #[error("document_router: routed models are scored on the CPU alone so far: use --device cpu")]
    Device,
    /// Nothing to tell apart.
    #[error("document_router: the gate has no classes")]
    NoClasses,
    /// Nothing to count n-grams in.
    #[error("document_router: ngrams need at least 1 bucket")]
    NoBuckets,
    /// Deeper than the base model.
    #[error("document_router: the hidden state at layer {layer} of a base model with {layers}")]
    Layer { layer: usize, layers: usize },
    /// An encoder-decoder.
    #[error("document_router: hidden states are read of decoders and encoders alone")]
    Reading,
    /// Hidden states of no model.
    #[error("document_router: hidden states need the base model, and the recipe names none")]
    NoBase,
    /// A prompt that the base model's tokenizer cannot encode.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// The base model gives no numbers.
    #[error("document_router: the features of a prompt of task {task} are not finite")]
    NotFinite { task: String },
    /// candle could not compute.
    #[error("reading prompts")]
    Candle(#[from] candle_core::Error),
}
