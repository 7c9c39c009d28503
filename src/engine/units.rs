//! Quantities with a unit, and the few words every other module speaks.
//!
//! Imports nothing of the crate; everything else may import this.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Share of right answers in `[0, 1]`; shown times 100.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Accuracy(pub f64);

impl fmt::Display for Accuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = f.precision().unwrap_or(2);
        write!(f, "{:.precision$}", self.0 * 100.0)
    }
}

/// Wall-clock time in seconds.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
pub struct Seconds(pub f64);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STEPS: [(f64, &str); 3] = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
        let bytes = self.0 as f64;
        match STEPS.iter().find(|(size, _)| bytes >= *size) {
            Some((size, unit)) => write!(f, "{:.1} {unit}", bytes / size),
            None => write!(f, "{bytes} B"),
        }
    }
}

/// Floating-point types of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum Dtype {
    /// IEEE single.
    #[serde(rename = "float32")]
    F32,
    /// IEEE half.
    #[serde(rename = "float16")]
    F16,
    /// The upper half of a single.
    #[serde(rename = "bfloat16")]
    BF16,
}

impl Dtype {
    /// All of them.
    pub const ALL: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::BF16];

    /// The word in recipes and in `config.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Dtype::F32 => "float32",
            Dtype::F16 => "float16",
            Dtype::BF16 => "bfloat16",
        }
    }

    /// The word in a safetensors header.
    pub fn stored_name(self) -> &'static str {
        match self {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::BF16 => "BF16",
        }
    }

    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
        }
    }
}

/// The one source of chance in a run; every stream is derived from it and a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seed(pub u64);

/// Which documents a score was measured on. No document is in two splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the optimizer maximises.
    Search,
    /// What chooses among the finalists.
    Selection,
    /// Seen once, by the winner and the baselines.
    Holdout,
}

impl Split {
    /// All splits, in the order a run meets them.
    pub const ALL: [Split; 3] = [Split::Search, Split::Selection, Split::Holdout];

    /// The word used in files and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Search => "search",
            Split::Selection => "selection",
            Split::Holdout => "holdout",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no [`Split`].
#[derive(Debug, thiserror::Error)]
#[error("unknown split `{0}`; valid: search, selection, holdout")]
pub struct UnknownSplit(pub String);

impl FromStr for Split {
    type Err = UnknownSplit;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Split::ALL
            .into_iter()
            .find(|split| split.as_str() == word)
            .ok_or_else(|| UnknownSplit(word.to_owned()))
    }
}

/// The kind of computation a tensor takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TensorGroup {
    /// Projections of the attention, with their biases and their query and key norms.
    Attention,
    /// Projections of the feed-forward block, routers and experts included.
    Mlp,
    /// Norms of the residual stream, the final one too.
    Norm,
    /// Token and position embeddings.
    Embedding,
    /// Everything between the last layer and the output but norms, where it is not tied to the embeddings.
    Head,
    /// Anything else.
    Other,
}

impl TensorGroup {
    /// Those that can be chosen, in the order in which filters are tried.
    pub const NAMED: [TensorGroup; 5] =
        [Self::Attention, Self::Mlp, Self::Norm, Self::Embedding, Self::Head];

    /// The word in a space file and in gene names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::Mlp => "mlp",
            Self::Norm => "norms",
            Self::Embedding => "embeddings",
            Self::Head => "head",
            Self::Other => "rest",
        }
    }

    /// Whether there is one such group per layer.
    pub fn has_depth(self) -> bool {
        !matches!(self, Self::Embedding | Self::Head)
    }
}
