//! Why a document cannot be scored with a tokenizer and a model.

use std::fmt;

use crate::task::Place;

/// Where a document stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocPlace {
    /// Name of the task.
    pub task: String,
    /// Its line.
    pub place: Place,
}

impl fmt::Display for DocPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}, {}", self.task, self.place)
    }
}

/// Why a document cannot be scored with this tokenizer and model.
#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    /// The tokenizer failed.
    #[error("{place}: the tokenizer cannot encode the document: {source}")]
    Encode {
        /// Which document.
        place: DocPlace,
        /// The tokenizer's reason.
        source: tokenizers::Error,
    },
    /// Tokenizer and checkpoint do not belong together.
    #[error("{place}: token {token} is not below the model's vocab_size {vocab_size}")]
    Vocabulary {
        /// Which document.
        place: DocPlace,
        /// The token's id.
        token: u32,
        /// Of the model.
        vocab_size: usize,
    },
    /// Nothing of the choice is left to predict.
    #[error("{place}: choice {choice:?} adds no token to the prompt")]
    EmptyContinuation {
        /// Which document.
        place: DocPlace,
        /// The choice.
        choice: String,
    },
    /// Nothing stands before the choice, and the model names no token to stand in.
    #[error(
        "{place}: the prompt has no tokens and config.json has no bos_token_id or eos_token_id"
    )]
    EmptyContext {
        /// Which document.
        place: DocPlace,
    },
    /// A classifier, an encoder or the starter kit has nothing to read.
    #[error("{place}: the text has no tokens")]
    EmptyText {
        /// Which document.
        place: DocPlace,
    },
    /// The model does not say how its decoder begins.
    #[error("{place}: config.json has no decoder_start_token_id, which the decoder reads first")]
    NoDecoderStart {
        /// Which document.
        place: DocPlace,
    },
    /// The starter kit has decoders and encoder-decoders only.
    #[error(
        "{place}: the starter kit scores decoders and encoder-decoders, not this kind of model"
    )]
    NotForKit {
        /// Which document.
        place: DocPlace,
    },
    /// Texts are not predicted from nothing by models with an encoder.
    #[error("{place}: loglikelihood_rolling needs a decoder-only model")]
    NotRolling {
        /// Which document.
        place: DocPlace,
    },
    /// A classifier has no probabilities of texts.
    #[error("{place}: a classifier chooses among labels; it neither writes nor predicts texts")]
    NoTexts {
        /// Which document.
        place: DocPlace,
    },
    /// A masked model whose tokenizer cannot hide a token.
    #[error(
        "the tokenizer has neither `[MASK]` nor `<mask>` below the model's vocab_size, by which a masked model is scored"
    )]
    NoMask,
    /// More answers than the classifier can give.
    #[error(
        "{place}: {choices} choices, but the classifier has {labels} labels; choice i is scored by label i"
    )]
    Labels {
        /// Which document.
        place: DocPlace,
        /// Of the document.
        choices: usize,
        /// Of the model.
        labels: usize,
    },
    /// The document is longer than the model was made for.
    #[error("{place}: {tokens} tokens, but max_position_embeddings is {longest}")]
    TooLong {
        /// Which document.
        place: DocPlace,
        /// Tokens the model would have to read.
        tokens: usize,
        /// What it can read.
        longest: usize,
    },
}
