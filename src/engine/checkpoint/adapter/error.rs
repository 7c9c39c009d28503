use std::path::PathBuf;

use crate::checkpoint::{CheckpointError, Found};

/// Why a folder is not an adapter that can be added to a base model.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// A file that is missing, malformed, or of a wrong type.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// The folder has no safetensors.
    #[error(
        "{} has no adapter_model.safetensors{}",
        dir.display(),
        if *pickled {
            "; it has adapter_model.bin only: load it with PEFT and save it again with \
             `save_pretrained(..., safe_serialization=True)`"
        } else {
            ""
        }
    )]
    NoWeights {
        /// The folder.
        dir: PathBuf,
        /// Whether there are pickled weights.
        pickled: bool,
    },
    /// A variant whose weights are not `W + scale B A`.
    #[error("{}: `{key}` is {value}; valid: {valid}", path.display())]
    Unsupported {
        /// `adapter_config.json`.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// Its value, as JSON, shortened.
        value: String,
        /// What it may be.
        valid: &'static str,
    },
    /// A key of `rank_pattern` or `alpha_pattern` that is no regular expression.
    #[error("{}: `{key}` has {pattern:?}, which is not a regular expression", path.display())]
    Pattern {
        /// `adapter_config.json`.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// The expression.
        pattern: String,
        /// Why.
        #[source]
        source: Box<regex::Error>,
    },
    /// There is nothing in the file.
    #[error("{} holds no tensors", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A tensor of another kind of adapter.
    #[error(
        "{}: tensor `{key}` is not part of a LoRA adapter; valid: names with lora_A, lora_B, \
         lora_embedding_A, lora_embedding_B, or a weight of the base model",
        path.display()
    )]
    UnknownTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        key: String,
    },
    /// Two tensors for one place.
    #[error("{}: tensors `{first}` and `{second}` are for the same weight", path.display())]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// A without B, or B without A.
    #[error("{}: tensor `{key}` has no {missing} with it", path.display())]
    Unpaired {
        /// The file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// What is missing.
        missing: &'static str,
    },
    /// Not two axes with a length, as LoRA's factors have.
    #[error("{}: tensor `{key}` has shape {shape:?}; a factor is a matrix", path.display())]
    NotAMatrix {
        /// The file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// The factors are not of the rank that the configuration says.
    #[error(
        "{}: tensor `{key}` has rank {found}; adapter_config.json says {expected} for it",
        path.display()
    )]
    Rank {
        /// The file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// Its rank.
        found: usize,
        /// `r` or what `rank_pattern` says.
        expected: usize,
    },
    /// The base model has no such weight.
    #[error(
        "{}: `{key}` changes `{weight}`, which the base model in {} does not have",
        path.display(),
        base.display()
    )]
    NoTarget {
        /// The adapter's file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// The base model's tensor.
        weight: String,
        /// The base model's folder.
        base: PathBuf,
    },
    /// The base model has several tensors of that name but for the first word.
    #[error(
        "{}: `{key}` could change `{first}` or `{second}` of the base model in {}",
        path.display(),
        base.display()
    )]
    Ambiguous {
        /// The adapter's file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// One.
        first: String,
        /// Another.
        second: String,
        /// The base model's folder.
        base: PathBuf,
    },
    /// The adapter is for a model of other dimensions.
    #[error("`{key}` is for a weight of shape {adapter}, but `{weight}` is {base}")]
    Shape {
        /// The adapter's tensor.
        key: String,
        /// The base model's tensor.
        weight: String,
        /// `[out, in]`, or the replacement's shape; the adapter's file.
        adapter: Box<Found>,
        /// The base model's shape and folder.
        base: Box<Found>,
    },
    /// A NaN or infinite number.
    #[error("{}: element {index} of tensor `{key}` is not finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// Row-major.
        index: usize,
    },
}
