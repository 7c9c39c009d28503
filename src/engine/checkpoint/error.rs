use std::fmt;
use std::io;
use std::path::PathBuf;

use super::ArchitectureError;

/// Why a folder is not a checkpoint that can be merged.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// No such folder.
    #[error("no folder {}", dir.display())]
    NoFolder {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder has no safetensors.
    #[error(
        "{} has neither model.safetensors nor model.safetensors.index.json{}",
        dir.display(),
        if *pickled {
            "; it has pytorch_model.bin only: save it again with `save_pretrained(..., safe_serialization=True)`"
        } else {
            ""
        }
    )]
    NoSafetensors {
        /// The folder.
        dir: PathBuf,
        /// Whether there are pickled weights.
        pickled: bool,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `config.json` or the index is not JSON.
    #[error("{} is not JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A key is missing or of the wrong type.
    #[error("{}: `{key}` must be {expected}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The layout of the tensors is unknown.
    #[error("{}", path.display())]
    Architecture {
        /// `config.json`.
        path: PathBuf,
        /// Why.
        #[source]
        source: ArchitectureError,
    },
    /// Truncated, or the header is malformed.
    #[error("{} is not a whole safetensors file", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: safetensors::SafeTensorError,
    },
    /// A type that cannot be merged.
    #[error("{}: tensor `{tensor}` is stored as {dtype}; valid: F32, F16, BF16", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: String,
    },
    /// A layer that the config does not count.
    #[error("{}: tensor `{tensor}` is beyond the {layers} layers that config.json says", dir.display())]
    LayerBeyond {
        /// The checkpoint.
        dir: PathBuf,
        /// The tensor.
        tensor: String,
        /// Of its stack.
        layers: usize,
    },
    /// The index names a tensor that its file does not have.
    #[error("{}: no tensor `{tensor}`, which the index says is there", path.display())]
    NotInShard {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// No tensor of that name.
    #[error("{} has no tensor `{tensor}`", dir.display())]
    NoTensor {
        /// The folder.
        dir: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A NaN or infinite weight.
    #[error("{}: element {index} of tensor `{tensor}` is not finite", file.display())]
    NotFinite {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Row-major.
        index: usize,
    },
    /// A tensor has different shapes in models that are merged.
    #[error("tensor `{tensor}` differs: {first}, {other}")]
    ShapesDiffer {
        /// The tensor.
        tensor: String,
        /// In the base model, or the first of the models.
        first: Box<Found>,
        /// In the expert.
        other: Box<Found>,
    },
}

/// A tensor's shape in a file, or that it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file; the folder where no file has the tensor.
    pub file: PathBuf,
    /// The shape.
    pub shape: Option<Vec<usize>>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Some(shape) => write!(f, "{shape:?} in {}", self.file.display()),
            None => write!(f, "missing in {}", self.file.display()),
        }
    }
}
