//! The search space: which merges may be tried, as a person writes it (TOML, or mergekit-evolve's YAML) and as the search
//! reads it.
//!
//! A file becomes a raw form that has only been parsed, and then a [`SearchSpace`] that is known to make sense: every
//! [`Dimension`] of it can be decoded (see [`crate::genome`]). Which parameters there are, and what they may be, is
//! [`crate::recipe`]'s table of merge methods. Numbers only; no tensor is seen here.

mod check;
mod dimensions;
mod document_routing;
mod domain;
mod error;
mod evolve;
mod evolve_tasks;
mod genes;
mod group;
mod layer_routing;
mod merges;
mod model_ref;
mod note;
mod objective;
mod optimizer;
mod parameter;
mod prompt_routing;
mod raw;
mod rivals;
mod routing;
mod task_names;
mod together;
mod token_routing;
mod tying;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::objective::AggregateChoice;
use crate::recipe::{MergeMethod, ModelRef, TokenizerChoice};

pub use dimensions::{GeneKey, Place, PromptPart, takes_pair};
pub use domain::{Dimension, Domain};
pub use error::SpaceError;
pub use group::Group;
pub use merges::GeneId;
pub use note::Note;
pub use optimizer::{OptimizerChoice, WarmStart};
pub use parameter::{Axis, Choice, ParameterName, ParameterSpec};
pub use routing::{
    DepthChoice, DocumentRouting, LayerRouting, PromptRouting, Routing, TokenRouting,
};

pub use task_names::TaskNameError;

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

/// How values vary over the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// mergekit's gradients: so many values, linearly interpolated from the first to the last layer.
    ControlPoints(usize),
    /// Blocks of so many layers. Where they need not divide the number of layers, the last block takes what is left.
    Blocks { layers_per_block: usize, must_divide: bool },
    /// A gradient with as many points as there are blocks of so many layers (mergekit-evolve's `smooth`); they must
    /// divide the number of layers.
    PointPerBlock { layers_per_block: usize },
}

/// The axes of a front, the first of which always is the aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// The aggregate of the tasks' scores, maximised.
    Aggregate,
    /// Scoring time relative to the base model, minimised.
    RelativeTime,
    /// Weights in memory relative to the base model's, minimised.
    RelativeMemory,
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
    /// Groups with values of their own, the first that a tensor fits counts; all other tensors form the group `rest`.
    pub groups: Vec<Group>,
    /// How values vary over the layers.
    pub depth: Depth,
    /// What is fixed and what is searched. slerp's `t` along [`Axis::Expert`] (from mergekit-evolve only) is not the
    /// position but each expert's pull: see [`SearchSpace::ranks_experts`].
    pub parameters: BTreeMap<ParameterName, ParameterSpec>,
    /// Task folders, as given (relative ones resolved against the file).
    pub tasks: Vec<PathBuf>,
    /// How many documents are scored.
    pub docs: DocLimits,
    /// The axes of the front.
    pub objectives: Vec<Objective>,
    /// What the tasks' scores are made into, and the search maximises.
    pub aggregate: AggregateChoice,
    /// Whether a smooth companion orders candidates of equal score for the optimizer; `None` = where it can.
    pub tie_break: Option<bool>,
    /// What of routing is searched.
    pub routing: Routing,
    /// How it is searched.
    pub optimizer: OptimizerChoice,
    /// Handed on to the recipes.
    pub tokenizer: Option<TokenizerChoice>,
    /// What the file asks for and is done otherwise; for the user to read before the search starts.
    pub notes: Vec<Note>,
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

    /// Checks the text of a file: mergekit-evolve's YAML where `file` ends in `.yaml` or `.yml`, else TOML. Relative
    /// folders are taken from `file`'s own folder.
    ///
    /// # Errors
    /// As [`SearchSpace::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, SpaceError> {
        let syntax = |message: String| SpaceError::Syntax {
            file: file.to_owned(),
            message: message.trim_end().to_owned(),
        };
        if file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            let raw = serde_saphyr::from_str(text).map_err(|error| syntax(error.to_string()))?;
            return evolve::check(raw, file);
        }
        let raw: RawSpace = toml::from_str(text).map_err(|error| syntax(error.to_string()))?;
        check::check(raw, file)
    }

    /// Whether slerp interpolates, in each block of layers, the two experts of greatest `t`, at the softmax of the two,
    /// as mergekit-evolve has it, instead of the pair that a gene names.
    pub fn ranks_experts(&self) -> bool {
        let t = self.parameters.iter().find(|(name, _)| name.as_str() == "t");
        t.is_some_and(|(_, spec)| spec.per().contains(&Axis::Expert))
    }
}
