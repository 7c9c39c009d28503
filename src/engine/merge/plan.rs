use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::checkpoint::{Architecture, Checkpoint, Elements};
use crate::recipe::{ModelRef, Recipe};
use crate::units::Dtype;

use super::apply::ready;
use super::mixture::Routed;
use super::ready::Ready;
use super::{
    Alignment, LayerGates, MergeError, Operation, Prepared, TokenAxis, Vocabulary, planner,
    resolve, token_router,
};

/// A recipe worked out against open checkpoints: every output tensor with its inputs and parameters.
///
/// Making one reads headers only. Two plans of the same recipe and checkpoints give the same bits, whatever the
/// order or the number of threads.
#[derive(Debug, Clone)]
pub struct MergePlan<'a> {
    models: Vec<(ModelRef, &'a Checkpoint)>,
    reference: usize,
    tensors: Vec<PlannedTensor>,
    source_layers: Vec<Vec<usize>>,
    unused: Vec<String>,
    vocabulary: Option<Vocabulary>,
    folders: Vec<&'a Path>,
    routed: Option<Routed>,
}

/// One output tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTensor {
    /// Name in the output, layers numbered anew.
    pub name: String,
    /// Shape, the same in all inputs.
    pub shape: Vec<usize>,
    /// The tensor that task vectors are taken against.
    pub base: Option<Input>,
    /// The tensors that are merged, in the recipe's order; the base is not among them where it is `base`.
    pub inputs: Vec<Input>,
    /// The method and its parameters for this tensor.
    pub operation: Operation,
    /// How the models' rows become the output's, where the tensor is indexed by tokens and the recipe chooses a
    /// tokenizer.
    pub(super) tokens: Option<Arc<Tokens>>,
}

/// The rows of a tensor that is indexed by tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tokens {
    /// The base first, if there is one, then the inputs.
    pub(super) alignment: Alignment,
    pub(super) axis: TokenAxis,
}

/// A tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// Index into the models that the plan was made with.
    pub model: usize,
    /// Name there.
    pub tensor: String,
}

/// An output tensor's elements, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedTensor {
    /// Name in the output.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// As many as the shape's product.
    pub values: Vec<f32>,
}

impl PlannedTensor {
    /// Product of the shape.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Length of a row: of the last axis, 1 for a scalar.
    pub(super) fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
}

impl<'a> MergePlan<'a> {
    /// Works a recipe out. `models` are the open checkpoints under the names that the recipe uses; more than the recipe
    /// needs may be given.
    ///
    /// # Errors
    /// See [`MergeError`]; everything but reading weights is checked here. [`MergeError::NoGates`] for a recipe with routed
    /// layers, [`MergeError::DocumentRouter`] for one that is several merges.
    pub fn new(
        recipe: &Recipe,
        models: &[(ModelRef, &'a Checkpoint)],
    ) -> Result<MergePlan<'a>, MergeError> {
        MergePlan::work_out(recipe, models, None)
    }

    /// The same with `gates` for the layers that the recipe's token router routes, if it has one.
    ///
    /// A routed layer is the merge's but for its feed-forward block: in place of the dense one stand the experts' own, each
    /// from the layer of its model that the merge's layer comes from, called as Mixtral's: `block_sparse_moe.gate` and
    /// `block_sparse_moe.experts.{j}.w1`, `w3` and `w2` for `gate_proj`, `up_proj` and `down_proj`. A `scale` of passthrough
    /// holds for them too. Experts must be Llamas or Mistrals without biases.
    ///
    /// # Errors
    /// As [`MergePlan::new`]; gates for other experts; an architecture that is no Mixtral's.
    pub fn with_gates(
        recipe: &Recipe,
        models: &[(ModelRef, &'a Checkpoint)],
        gates: &LayerGates,
    ) -> Result<MergePlan<'a>, MergeError> {
        MergePlan::work_out(recipe, models, Some(gates))
    }

    fn work_out(
        recipe: &Recipe,
        models: &[(ModelRef, &'a Checkpoint)],
        gates: Option<&LayerGates>,
    ) -> Result<MergePlan<'a>, MergeError> {
        if recipe.document_router.is_some() {
            return Err(MergeError::DocumentRouter);
        }
        let mixture = match (token_router(recipe), gates) {
            (None, _) => None,
            (Some(_), None) => return Err(MergeError::NoGates),
            (Some(router), Some(gates)) => Some((router, gates)),
        };
        let unused = resolve::unused_parameters(recipe)?;
        let vocabulary = vocabulary(recipe, models)?;
        let planner = planner::plan(recipe, models, vocabulary.as_ref(), mixture)?;
        let (tensors, source_layers) = (planner.tensors, planner.source_layers);
        let (reference, routed) = (planner.reference, planner.routed);
        if recipe.merge_method.is_random() {
            // The masks depend on them; a checkpoint that has become unreadable must be an error here.
            models.par_iter().try_for_each(|(_, checkpoint)| checkpoint.digest().map(|_| ()))?;
        }
        let folders = folders(recipe, models);
        let models = models.to_vec();
        Ok(MergePlan {
            models,
            reference,
            tensors,
            source_layers,
            unused,
            vocabulary,
            folders,
            routed,
        })
    }

    /// The output's tensors: stack by stack those before the layers, the layers, those after.
    pub fn tensors(&self) -> &[PlannedTensor] {
        &self.tensors
    }

    /// For each stack and output layer, the layer of the base model (without base: of the first source) that it comes
    /// from.
    pub fn source_layers(&self) -> &[Vec<usize>] {
        &self.source_layers
    }

    /// The models that it was made with.
    pub fn models(&self) -> &[(ModelRef, &'a Checkpoint)] {
        &self.models
    }

    /// Index of [`MergePlan::reference`] among the models.
    pub fn reference_index(&self) -> usize {
        self.reference
    }

    /// The model whose config and tokenizer the output takes: the base, or else the first one named.
    pub fn reference(&self) -> &'a Checkpoint {
        self.models[self.reference].1
    }

    /// How the output's tensors are laid out.
    pub fn architecture(&self) -> &'a Architecture {
        self.reference().architecture()
    }

    /// The folders of the models that are merged, in the recipe's order.
    pub fn folders(&self) -> &[&'a Path] {
        &self.folders
    }

    /// The output's tokens, where the recipe chooses them.
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        self.vocabulary.as_ref()
    }

    /// Parameters that the recipe sets and its method does not have.
    pub fn unused_parameters(&self) -> &[String] {
        &self.unused
    }

    /// The narrowest type that holds what all inputs of a tensor are stored as.
    pub fn stored_dtype(&self, tensor: &PlannedTensor) -> Dtype {
        let stored = |input: &Input| {
            self.models[input.model].1.shape(&input.tensor).map(|tensor| tensor.dtype)
        };
        let dtypes = tensor.base.iter().chain(&tensor.inputs).filter_map(stored);
        dtypes.reduce(|a, b| if a == b { a } else { Dtype::F32 }).unwrap_or(Dtype::F32)
    }

    /// Merges one of [`MergePlan::tensors`] into `out`, which has its number of elements.
    ///
    /// # Errors
    /// A weight cannot be read; the method cannot merge these weights.
    ///
    /// # Panics
    /// The tensor is of another plan, or `out` has another length.
    pub fn merge_into(
        &self,
        tensor: &PlannedTensor,
        prepared: Option<&Prepared>,
        out: &mut [f32],
    ) -> Result<(), MergeError> {
        self.ready(tensor, prepared)?.fill(0, out);
        Ok(())
    }

    /// What fills a slice with a tensor's elements from an index on, a multiple of 1024; any number of threads may call
    /// it at once.
    ///
    /// # Errors
    /// As [`MergePlan::merge_into`].
    pub fn in_parts(
        &self,
        tensor: &PlannedTensor,
    ) -> Result<impl Fn(usize, &mut [f32]) + Sync, MergeError> {
        let ready = self.ready(tensor, None)?;
        Ok(move |start: usize, out: &mut [f32]| ready.fill(start, out))
    }

    fn ready(
        &self,
        tensor: &PlannedTensor,
        prepared: Option<&Prepared>,
    ) -> Result<Ready<'a>, MergeError> {
        ready(self, tensor, prepared)
    }

    pub(super) fn routed(&self) -> Option<&Routed> {
        self.routed.as_ref()
    }

    pub(super) fn elements(&self, input: &Input) -> Result<Elements<'a>, MergeError> {
        Ok(self.models[input.model].1.elements(&input.tensor)?)
    }

    pub(super) fn digest(&self, input: &Input) -> &'a str {
        self.models[input.model].1.digest().unwrap_or_default()
    }

    fn merged(&self, tensor: &PlannedTensor) -> Result<MergedTensor, MergeError> {
        let mut values = vec![0.0; tensor.elements()];
        self.merge_into(tensor, None, &mut values)?;
        Ok(MergedTensor { name: tensor.name.clone(), shape: tensor.shape.clone(), values })
    }
}

/// `models` may hold more than the recipe needs; the vocabulary is made of those that it names.
fn vocabulary(
    recipe: &Recipe,
    models: &[(ModelRef, &Checkpoint)],
) -> Result<Option<Vocabulary>, MergeError> {
    let Some(choice) = &recipe.tokenizer else {
        return Ok(None);
    };
    let named: Vec<(ModelRef, &Checkpoint)> = vocabulary_models(recipe)
        .filter_map(|model| models.iter().find(|(known, _)| known == model).cloned())
        .collect();
    Ok(Some(Vocabulary::build(choice, recipe.base_model.as_ref(), &named)?))
}

/// The models that a recipe's vocabulary is made of, in its order.
pub(super) fn vocabulary_models(recipe: &Recipe) -> impl Iterator<Item = &ModelRef> {
    recipe.models().into_iter()
}

/// Without that of a model which only gives its tokenizer.
fn folders<'a>(recipe: &Recipe, models: &[(ModelRef, &'a Checkpoint)]) -> Vec<&'a Path> {
    let merged = Recipe { tokenizer: None, ..recipe.clone() };
    let open = |model: &&ModelRef| models.iter().find(|(known, _)| known == *model);
    merged.models().iter().filter_map(open).map(|(_, checkpoint)| checkpoint.dir()).collect()
}

/// Merges all tensors, one after the other.
///
/// # Errors
/// As [`MergePlan::merge_into`].
pub fn merge_all(plan: &MergePlan) -> Result<Vec<MergedTensor>, MergeError> {
    plan.tensors.iter().map(|tensor| plan.merged(tensor)).collect()
}

/// Merges all tensors on rayon's threads, to the same bits as [`merge_all`].
///
/// # Errors
/// As [`MergePlan::merge_into`].
pub fn merge_all_parallel(plan: &MergePlan) -> Result<Vec<MergedTensor>, MergeError> {
    let merged: Vec<_> = plan.tensors.par_iter().map(|tensor| plan.merged(tensor)).collect();
    // Only now, so that of several errors it is always the first one that comes out.
    merged.into_iter().collect()
}
