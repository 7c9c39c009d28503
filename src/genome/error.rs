//! What cannot be decoded or encoded, and why.

use crate::recipe::{MergeMethod, ParameterError};

/// Why a space cannot be searched with models of this architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecoderError {
    /// As mergekit-evolve refuses it.
    #[error(
        "key `genome.layer_granularity` is {layers_per_block}; valid: 0 or a divisor of the model's {layers} layers"
    )]
    UnevenBlocks {
        /// Layers of a block.
        layers_per_block: usize,
        /// Layers of the model.
        layers: usize,
    },
    /// A gate cannot see what comes behind the last layer's input.
    #[error("key `routing.documents.layers` has {layer}; valid: 0 to {}", layers.saturating_sub(1))]
    NoSuchLayer {
        /// The layer.
        layer: usize,
        /// Layers of the model.
        layers: usize,
    },
    /// Its genes would change nothing.
    #[error(
        "key `merge.groups` has `{group}`, of which the models have no tensors; leave it out, or write a filter"
    )]
    NoSuchGroup {
        /// The group's word.
        group: &'static str,
    },
    /// An encoder and a decoder.
    #[error(
        "key `routing.layers` is set; valid: left out, since the models' layers are not one stack"
    )]
    SeveralStacks,
    /// A norm would undo the factor, or the family is not known.
    #[error(
        "key `routing.layers.scale` is set; valid: left out, since no tensors of this family are known to be added to the residual stream as they are"
    )]
    NoOutputs,
}

/// Why no genotype of a space stands for a recipe, nor for one near it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Another method.
    #[error("key `merge_method` is {method}; valid: {valid} (the space's `merge.methods`)")]
    Method { method: MergeMethod, valid: String },
    /// A model that is neither the base nor an expert of the space.
    #[error("model `{model}` is none of the space's; valid: {valid}")]
    Model { model: String, valid: String },
    /// Another base, or a base where the space has none.
    #[error("key `base_model` is {found}; valid: {valid}")]
    Base { found: String, valid: String },
    /// An expert that the space always merges.
    #[error(
        "model `{model}` is missing; the space merges it always (valid: a recipe with it, or `merge.choose_experts = true`)"
    )]
    Absent { model: String },
    /// More than one model in a block that takes one.
    #[error("layers {start}..{end} are not taken from one model, as the space's blocks are")]
    Owner { start: usize, end: usize },
    /// Parts that differ in what they merge.
    #[error("key `slices`: the slices merge different models, which the space's genes cannot say")]
    Slices,
    /// A layer from elsewhere.
    #[error(
        "key `slices.sources.layer_range`: layer {found} stands where layer {expected} must; valid: each layer in its own place"
    )]
    Layers { expected: usize, found: usize },
    /// Too few or too many layers.
    #[error("key `slices` builds {found} layers; valid: the base model's {expected}")]
    LayerCount { expected: usize, found: usize },
    /// No choice of what to do with each block gives this order.
    #[error(
        "key `slices` has layers {found:?}, which no genes of the space's `routing.layers` give; valid: whole blocks, each left out, once, or twice in a row, in an order that changing places with the next block gives"
    )]
    Arrangement { found: Vec<usize> },
    /// The layers' order can be said, but not all of what they are.
    #[error(
        "key `slices`: the space's genes cannot say these layers' parameters (scaled layers, or too few merged ones to tell the parameters of those left out)"
    )]
    LayerParameters,
    /// `modules`.
    #[error("key `modules` cannot be said in genes; valid: `models` or `slices`")]
    Modules,
    /// A slice of nothing.
    #[error("key `slices.sources` is empty; valid: at least one model")]
    NoSources,
    /// A parameter that must be set.
    #[error("key `parameters.{parameter}` is not set{}; {method} needs it", of_model(model))]
    Missing { parameter: &'static str, method: MergeMethod, model: Option<String> },
    /// A number where there must be a truth value.
    #[error(transparent)]
    Truth(ParameterError),
    /// A value that the gene cannot have.
    #[error("key `parameters.{parameter}` is {value} at gene `{gene}`; valid: {low} to {high}")]
    OutOfRange { parameter: &'static str, gene: String, value: f64, low: f64, high: f64 },
    /// The nearest genotype's recipe is another.
    #[error("{0}")]
    Differs(Difference),
    /// Something that no gene decides.
    #[error("key `{key}` is not the space's; every candidate has {valid}")]
    Constant { key: &'static str, valid: String },
    /// A router or prompts that the space does not have.
    #[error("key `{key}` is {found}; valid: {valid}")]
    Routing { key: &'static str, found: String, valid: String },
    /// mergekit-evolve's slerp.
    #[error("a slerp between the experts of greatest `t` cannot be turned back into genes")]
    Ranked,
}

impl EncodeError {
    /// Whether other layers, or other models in some of them, are what is wrong.
    pub(super) fn is_about_layers(&self) -> bool {
        use EncodeError::{Absent, LayerCount, Layers, Owner, Slices};
        matches!(self, Absent { .. } | LayerCount { .. } | Layers { .. } | Owner { .. } | Slices)
    }
}

fn of_model(model: &Option<String>) -> String {
    model.as_ref().map_or_else(String::new, |model| format!(" for `{model}`"))
}

/// Where a recipe and the nearest that a space can express are farthest apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The parameter.
    pub parameter: &'static str,
    /// The model whose parameter it is; `None` for one that all share.
    pub model: Option<String>,
    /// A tensor's name or a part of it, where the two tell tensors apart.
    pub tensor: String,
    /// The layer; `None` outside the layers.
    pub layer: Option<usize>,
    /// The recipe's value.
    pub asked: f64,
    /// The nearest.
    pub nearest: f64,
}

impl Difference {
    /// How far apart.
    pub fn gap(&self) -> f64 {
        (self.asked - self.nearest).abs()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "key `parameters.{}` is {}{}",
            self.parameter,
            self.asked,
            of_model(&self.model)
        )?;
        if let Some(layer) = self.layer {
            write!(f, " in layer {layer}")?;
        }
        if !self.tensor.is_empty() {
            write!(f, " of `{}`", self.tensor)?;
        }
        write!(f, "; the nearest that the space's genes can say is {}", self.nearest)
    }
}
