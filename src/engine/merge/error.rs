use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::recipe::{MergeMethod, ModelRef, ParameterError};

use super::VocabularyError;

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
    /// The method needs a base model.
    #[error("{method} needs `base_model`, and the base among the sources of each slice ({place})")]
    NoBase {
        /// The method.
        method: MergeMethod,
        /// Where it is missing.
        place: String,
    },
    /// Too few or too many models.
    #[error(
        "{method} merges {expected} models{}, found {found} in {place}",
        if *besides { " besides the base" } else { "" }
    )]
    ModelCount {
        /// The method.
        method: MergeMethod,
        /// How many it takes.
        expected: String,
        /// Whether the base is not among them.
        besides: bool,
        /// How many there are.
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
    /// The config promises a layer that the weights do not have.
    #[error("{} has no tensor of layer {layer}; its config says {layers} layers", dir.display())]
    EmptyLayer {
        /// The checkpoint.
        dir: PathBuf,
        /// The layer.
        layer: usize,
        /// `num_hidden_layers`.
        layers: usize,
    },
    /// Slices for a model with more than one stack of layers.
    #[error(
        "the model has more than one stack of layers; write `modules` with an entry for each of: {modules}"
    )]
    NeedsModules {
        /// The stacks.
        modules: String,
    },
    /// `modules` are not those of the model.
    #[error("{found}; the model has: {valid}")]
    Modules {
        /// What is wrong.
        found: String,
        /// The stacks.
        valid: String,
    },
    /// A model of another kind.
    #[error(
        "`{model}` ({family}) has no stack of layers `{stack}`, which the base or first model has"
    )]
    NoStack {
        /// The model.
        model: ModelRef,
        /// Its architecture.
        family: String,
        /// The stack.
        stack: String,
    },
    /// DELLA's probabilities leave `[0, 1]`.
    #[error("density {density} ± epsilon {epsilon} is not between 0 and 1 for tensor `{tensor}`")]
    DropProbabilities {
        /// Mean probability.
        density: f64,
        /// Deviation.
        epsilon: f64,
        /// The tensor.
        tensor: String,
    },
    /// The method cannot merge these values.
    #[error("tensor `{tensor}`")]
    Values {
        /// The tensor.
        tensor: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A recipe that sends documents to several merges.
    #[error("a recipe with a document router is several merges; each of them is merged by itself")]
    DocumentRouter,
    /// A recipe with routed layers, and nothing to route by.
    #[error(
        "the recipe has a token router, whose gates take the base model's reading of its prompts"
    )]
    NoGates,
    /// Gates cannot be made of the experts' prototypes.
    #[error("prototypes of the token router's experts: {found}")]
    Prototypes {
        /// What is wrong.
        found: String,
    },
    /// A setting of the token router.
    #[error("token router: `{key}` is {found}; valid: {valid}")]
    TokenRouter {
        /// The setting.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        valid: String,
    },
    /// A routed layer that the output does not have.
    #[error("the token router routes layer {layer}; the output has {layers} layers")]
    RoutedLayer {
        /// The layer, counted from 0.
        layer: usize,
        /// How many there are.
        layers: usize,
    },
    /// What a Mixtral has no place for.
    #[error("{found} has no place in a mixture of experts; it can be made of: {valid}")]
    NotInMixture {
        /// Model, setting or tensor.
        found: String,
        /// What fits.
        valid: String,
    },
    /// A recipe without slices.
    #[error("the recipe has no slices")]
    NoSlices,
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
        valid: String,
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
    /// Embeddings or heads for different vocabularies, and no word on which is wanted.
    #[error(
        "{found}: the vocabularies differ; say which one the output has with `tokenizer_source: base`, `union` or a model"
    )]
    Vocabularies {
        /// The tensor and its shapes.
        found: CheckpointError,
    },
    /// A tensor that the base or first model has no place for.
    #[error(
        "tensor `{tensor}` of `{model}` is not one of `{reference}`, whose config the output gets; \
         give a base or first model that has it"
    )]
    UnknownTensor {
        /// The tensor.
        tensor: String,
        /// Who has it.
        model: String,
        /// Who has not.
        reference: ModelRef,
    },
    /// The vocabularies cannot be aligned.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// A tensor is missing, has different shapes in the models, or cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
