use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::recipe::{MergeMethod, ModelRef, ParameterError};

/// Why a recipe cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A model of the recipe was not given.
    #[error("the recipe names `{model}`, which is not among the open checkpoints: {known}")]
    UnknownModel {
        /// The model.
        model: ModelRef,
        /// Those that are.
        known: String,
    },
    /// A model with an adapter.
    #[error("`{model}` has a LoRA adapter; merge it into the model first and name the result")]
    Adapter {
        /// The model.
        model: ModelRef,
    },
    /// The method needs a base model.
    #[error("{method} needs `base_model`, and the base among the sources of each slice ({place})")]
    NoBase {
        /// The method.
        method: MergeMethod,
        /// Where it is missing.
        place: String,
    },
    /// Too few or too many models.
    #[error("{method} merges {expected} models, found {found} in {place}")]
    ModelCount {
        /// The method.
        method: MergeMethod,
        /// How many it takes.
        expected: &'static str,
        /// How many there are, the base included.
        found: usize,
        /// Where.
        place: String,
    },
    /// The same model twice in one slice.
    #[error("`{model}` is listed twice in {place}")]
    Duplicate {
        /// The model.
        model: ModelRef,
        /// Where.
        place: String,
    },
    /// Sources of a slice have different numbers of layers.
    #[error("the sources of {place} have {first} and {other} layers; all need the same number")]
    SliceLengths {
        /// Where.
        place: String,
        /// Layers of the first source.
        first: usize,
        /// Layers of a later one.
        other: usize,
    },
    /// A layer that the model does not have.
    #[error("`{model}` has {layers} layers, {place} asks for layers up to {end}")]
    NoLayer {
        /// The model.
        model: ModelRef,
        /// How many it has.
        layers: usize,
        /// One past the last layer asked for.
        end: usize,
        /// Where.
        place: String,
    },
    /// A parameter that the method does not have.
    #[error("{method} has no parameter `{parameter}`; it has: {valid}")]
    UnknownParameter {
        /// The method.
        method: MergeMethod,
        /// The parameter.
        parameter: String,
        /// Those it has.
        valid: String,
    },
    /// A parameter without default is not set.
    #[error("{method} needs `{parameter}`, which is not set for {model} in tensor `{tensor}`")]
    MissingParameter {
        /// The method.
        method: MergeMethod,
        /// The parameter.
        parameter: &'static str,
        /// The model, or that all share it.
        model: String,
        /// The tensor.
        tensor: String,
    },
    /// A parameter has a value it cannot have.
    #[error("`{parameter}` is {found} for tensor `{tensor}`; valid: {valid}")]
    ParameterValue {
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        found: f64,
        /// The tensor.
        tensor: String,
        /// What it may be.
        valid: &'static str,
    },
    /// A parameter of the wrong kind.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A weighted mean without weight. mergekit divides by 0 here and writes NaN.
    #[error("the weights of tensor `{tensor}` sum to 0, so that no mean can be taken")]
    ZeroWeight {
        /// The tensor.
        tensor: String,
    },
    /// A tensor's shapes differ between the models.
    #[error(
        "output tensor `{tensor}`: {first_shape:?} in {}, {other_shape:?} in {}",
        first.display(),
        other.display()
    )]
    Shapes {
        /// The output tensor.
        tensor: String,
        /// File of the first input.
        first: PathBuf,
        /// Its shape.
        first_shape: Vec<usize>,
        /// File of the input that differs.
        other: PathBuf,
        /// Its shape.
        other_shape: Vec<usize>,
    },
    /// A weight cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
