use rayon::prelude::*;

use crate::checkpoint::Checkpoint;
use crate::recipe::{ModelRef, Recipe, RescaleRule};

use super::{Dropout, MaskKey, MergeError, Operation, planner};
use super::{dare_linear, dare_ties, linear, passthrough, slerp, task_arithmetic, ties};

/// A recipe worked out against open checkpoints: every output tensor with its inputs and parameters.
///
/// Making one reads headers only. Two plans of the same recipe and checkpoints give the same bits, whatever the
/// order or the number of threads.
#[derive(Debug, Clone)]
pub struct MergePlan<'a> {
    models: Vec<(ModelRef, &'a Checkpoint)>,
    mask_seed: u64,
    tensors: Vec<PlannedTensor>,
    source_layers: Vec<Vec<usize>>,
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
}

/// A tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl<'a> MergePlan<'a> {
    /// Works a recipe out. `models` are the open checkpoints under the names that the recipe uses; more than the recipe
    /// needs may be given.
    ///
    /// # Errors
    /// See [`MergeError`]; everything but reading weights is checked here.
    pub fn new(
        recipe: &Recipe,
        models: &[(ModelRef, &'a Checkpoint)],
    ) -> Result<MergePlan<'a>, MergeError> {
        let planner = planner::plan(recipe, models)?;
        let (tensors, source_layers) = (planner.tensors, vec![planner.source_layers]);
        if recipe.merge_method.is_random() {
            // The masks depend on them; a checkpoint that has become unreadable must be an error here.
            models.iter().try_for_each(|(_, checkpoint)| checkpoint.digest().map(|_| ()))?;
        }
        let (models, mask_seed) = (models.to_vec(), recipe.mask_seed);
        Ok(MergePlan { models, mask_seed, tensors, source_layers })
    }

    /// The output's tensors: those before the layers, the layers, those after.
    pub fn tensors(&self) -> &[PlannedTensor] {
        &self.tensors
    }

    /// For each stack and each of its output layers, the layer of the base model (without base: of the first source)
    /// that it comes from.
    pub fn source_layers(&self) -> &[Vec<usize>] {
        &self.source_layers
    }

    /// Names and shapes, as [`crate::checkpoint::write_checkpoint`] takes them.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect()
    }

    /// Merges one of [`MergePlan::tensors`]; its elements are row-major.
    ///
    /// # Errors
    /// A weight cannot be read.
    ///
    /// # Panics
    /// The tensor is of another plan, with more models than this one.
    pub fn merge(&self, tensor: &PlannedTensor) -> Result<Vec<f32>, MergeError> {
        let read = |input: &Input| self.models[input.model].1.tensor(&input.tensor);
        let base = tensor.base.as_ref().map(read).transpose()?.unwrap_or_default();
        let inputs = tensor.inputs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&[f32]> = inputs.iter().map(AsRef::as_ref).collect();
        Ok(self.apply(tensor, &base, &inputs))
    }

    fn apply(&self, tensor: &PlannedTensor, base: &[f32], inputs: &[&[f32]]) -> Vec<f32> {
        match &tensor.operation {
            Operation::Linear { weights, normalize } => linear(inputs, weights, *normalize),
            Operation::Slerp { t } => {
                inputs.first().map_or_else(Vec::new, |model| slerp(base, model, *t))
            }
            Operation::TaskArithmetic { weights, mixing } => {
                task_arithmetic(base, inputs, weights, *mixing)
            }
            Operation::Ties { weights, densities, rescale, mixing } => {
                ties(base, inputs, weights, densities, *rescale, *mixing)
            }
            Operation::Dare { weights, densities, rescale, mixing, elect_sign } => {
                let dropouts = self.dropouts(tensor, densities, *rescale);
                let method = if *elect_sign { dare_ties } else { dare_linear };
                method(base, inputs, weights, &dropouts, *mixing)
            }
            Operation::Passthrough { scale } => {
                inputs.first().map_or_else(Vec::new, |model| passthrough(model, *scale))
            }
        }
    }

    fn dropouts<'t>(
        &'t self,
        tensor: &'t PlannedTensor,
        densities: &[f64],
        rescale: Option<RescaleRule>,
    ) -> Vec<Dropout<'t>> {
        let dropout = |(input, density): (&Input, &f64)| {
            let model = self.models[input.model].1.digest().unwrap_or_default();
            let mask = MaskKey { seed: self.mask_seed, model, tensor: &tensor.name };
            Dropout { density: *density, rescale, mask }
        };
        tensor.inputs.iter().zip(densities).map(dropout).collect()
    }

    fn merged(&self, tensor: &PlannedTensor) -> Result<MergedTensor, MergeError> {
        let values = self.merge(tensor)?;
        Ok(MergedTensor { name: tensor.name.clone(), shape: tensor.shape.clone(), values })
    }
}

/// Merges all tensors, one after the other.
///
/// # Errors
/// A weight cannot be read.
pub fn merge_all(plan: &MergePlan) -> Result<Vec<MergedTensor>, MergeError> {
    plan.tensors.iter().map(|tensor| plan.merged(tensor)).collect()
}

/// Merges all tensors on rayon's threads, to the same bits as [`merge_all`].
///
/// # Errors
/// A weight cannot be read.
pub fn merge_all_parallel(plan: &MergePlan) -> Result<Vec<MergedTensor>, MergeError> {
    let merged: Vec<_> = plan.tensors.par_iter().map(|tensor| plan.merged(tensor)).collect();
    // Only now, so that of several errors it is always the first one that comes out.
    merged.into_iter().collect()
}
