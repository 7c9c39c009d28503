//! The search space: which merges may be tried, as a person writes it (TOML) and as the search reads it.
//!
//! A file becomes a raw form that has only been parsed, and then a [`SearchSpace`] that is known to make sense: every
//! [`Dimension`] of it can be decoded (see [`crate::genome`]). Numbers only; no tensor is seen here.

mod check;
mod dimensions;
mod domain;
mod error;
mod parameter;
mod raw;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::recipe::{MergeMethod, ModelRef};

pub use dimensions::{GeneKey, Place};
pub use domain::{Dimension, Domain};
pub use error::SpaceError;
pub use parameter::{Axis, Choice, ParameterName, ParameterSpec};

pub use crate::units::TensorGroup;

use raw::RawSpace;

/// A fine-tuned model and the short name its genes and rows carry.
#[derive(Debug, Clone, PartialEq)]
pub struct Expert {
    /// Short name.
    pub name: String,
    /// Folder or hub id.
    pub model: ModelRef,
}

impl TensorGroup {
    /// mergekit's filter: the substring that the names of these tensors share in Llama-type checkpoints.
    pub fn filter(self) -> &'static str {
        match self {
            Self::Attention => "self_attn",
            Self::Mlp => "mlp",
            Self::Norm => "norm",
            Self::Embedding => "embed_tokens",
            Self::Head => "lm_head",
            Self::Other => "*",
        }
    }
}

/// How values vary over the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// mergekit's gradients: so many values, linearly interpolated from the first to the last layer.
    ControlPoints(usize),
    /// Blocks of so many layers; the last block takes what is left.
    Blocks { layers_per_block: usize },
}

/// What a front is made of besides the geometric mean of accuracies, which always is its first axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// Geometric mean of the tasks' accuracies, maximised.
    GeometricMean,
    /// Scoring time relative to the base model, minimised.
    RelativeTime,
}

/// Documents per task and split; `None` = all there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DocLimits {
    /// On the search split.
    pub search: Option<usize>,
    /// On the selection split.
    pub selection: Option<usize>,
    /// On the holdout split.
    pub holdout: Option<usize>,
}

/// What the file says of the optimizer; the command line may say otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OptimizerChoice {
    /// As `--optimizer` takes it; which names exist is the optimizer module's to say.
    pub name: Option<String>,
    /// Candidates per generation.
    pub population: Option<usize>,
    /// First step, as a share of each gene's range.
    pub sigma: Option<f64>,
}

/// A checked search space.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchSpace {
    /// Names run folders.
    pub name: String,
    /// What the experts were fine-tuned from.
    pub base: ModelRef,
    /// What is merged, in the file's order.
    pub experts: Vec<Expert>,
    /// More than one makes the categorical gene `method`.
    pub methods: Vec<MergeMethod>,
    /// Makes a categorical gene `expert.<name>` (in, out) for each expert.
    pub choose_experts: bool,
    /// Groups with values of their own; all other tensors form the group `rest`.
    pub groups: Vec<TensorGroup>,
    /// How values vary over the layers.
    pub depth: Depth,
    /// What is fixed and what is searched.
    pub parameters: BTreeMap<ParameterName, ParameterSpec>,
    /// Task folders, as given (relative ones resolved against the file).
    pub tasks: Vec<PathBuf>,
    /// How many documents are scored.
    pub docs: DocLimits,
    /// The axes of the front.
    pub objectives: Vec<Objective>,
    /// How it is searched.
    pub optimizer: OptimizerChoice,
}

impl SearchSpace {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`SpaceError`] when it cannot be read, has an unknown key, or a value that cannot be meant.
    pub fn load(file: &Path) -> Result<Self, SpaceError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| SpaceError::Read { file: file.to_owned(), source })?;
        Self::parse(&text, file)
    }

    /// Checks the text of a file; relative folders are taken from `file`'s own folder.
    ///
    /// # Errors
    /// As [`SearchSpace::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, SpaceError> {
        let raw: RawSpace = toml::from_str(text).map_err(|error| SpaceError::Syntax {
            file: file.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        check::check(raw, file)
    }
}
