use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::checkpoint::{Checkpoint, CheckpointError, TensorGroup, TensorRole, in_layer};
use crate::recipe::{Levels, ModelRef, Recipe, RescaleRule};

use super::resolve::{Scope, Scopes, operation};
use super::slices::{Slice, slices};
use super::{Dropout, MaskKey, MergeError, Operation};
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
    source_layers: Vec<usize>,
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
        require_known_parameters(recipe)?;
        let slices = slices(recipe, models)?;
        let planner = Planner { recipe, models };
        let mut tensors = Vec::new();
        let mut source_layers = Vec::new();
        if let Some(first) = slices.first() {
            planner.outside_layers(first, true, &mut tensors)?;
        }
        for slice in &slices {
            planner.layers(slice, &mut source_layers, &mut tensors)?;
        }
        if let Some(last) = slices.last() {
            planner.outside_layers(last, false, &mut tensors)?;
        }
        let (models, mask_seed) = (models.to_vec(), recipe.mask_seed);
        Ok(MergePlan {
            models,
            mask_seed,
            tensors,
            source_layers,
        })
    }

    /// The output's tensors: those before the layers, the layers, those after.
    pub fn tensors(&self) -> &[PlannedTensor] {
        &self.tensors
    }

    /// For each output layer, the layer of the base model (without base: of the first source) that it comes from.
    pub fn source_layers(&self) -> &[usize] {
        &self.source_layers
    }

    /// Names and shapes, as [`crate::checkpoint::write_checkpoint`] takes them.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.tensors
            .iter()
            .map(|tensor| (tensor.name.clone(), tensor.shape.clone()))
            .collect()
    }

    /// Merges one tensor; its elements are row-major.
    ///
    /// # Errors
    /// A weight cannot be read.
    pub fn merge(&self, tensor: &PlannedTensor) -> Result<Vec<f32>, MergeError> {
        let read = |input: &Input| self.models[input.model].1.tensor(&input.tensor);
        let base = tensor
            .base
            .as_ref()
            .map(read)
            .transpose()?
            .unwrap_or_default();
        let inputs = tensor
            .inputs
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&[f32]> = inputs.iter().map(AsRef::as_ref).collect();
        Ok(self.apply(tensor, &base, &inputs))
    }

    fn apply(&self, tensor: &PlannedTensor, base: &[f32], inputs: &[&[f32]]) -> Vec<f32> {
        match &tensor.operation {
            Operation::Linear { weights, normalize } => linear(inputs, weights, *normalize),
            Operation::Slerp { t } => inputs
                .first()
                .map_or_else(Vec::new, |model| slerp(base, model, *t)),
            Operation::TaskArithmetic { weights, mixing } => {
                task_arithmetic(base, inputs, weights, *mixing)
            }
            Operation::Ties {
                weights,
                densities,
                rescale,
                mixing,
            } => ties(base, inputs, weights, densities, *rescale, *mixing),
            Operation::Dare {
                weights,
                densities,
                rescale,
                mixing,
                elect_sign,
            } => {
                let dropouts = self.dropouts(tensor, densities, *rescale);
                let method = if *elect_sign { dare_ties } else { dare_linear };
                method(base, inputs, weights, &dropouts, *mixing)
            }
            Operation::Passthrough { scale } => inputs
                .first()
                .map_or_else(Vec::new, |model| passthrough(model, *scale)),
        }
    }

    fn dropouts<'t>(
        &'t self,
        tensor: &'t PlannedTensor,
        densities: &[f64],
        rescale: Option<RescaleRule>,
    ) -> Vec<Dropout<'t>> {
        let dropout = |(input, density): (&Input, &f64)| {
            let model = self.models[input.model].0.as_str();
            let mask = MaskKey {
                seed: self.mask_seed,
                model,
                tensor: &tensor.name,
            };
            Dropout {
                density: *density,
                rescale,
                mask,
            }
        };
        tensor.inputs.iter().zip(densities).map(dropout).collect()
    }

    fn merged(&self, tensor: &PlannedTensor) -> Result<MergedTensor, MergeError> {
        let values = self.merge(tensor)?;
        Ok(MergedTensor {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            values,
        })
    }
}

/// Merges all tensors, one after the other.
///
/// # Errors
/// A weight cannot be read.
pub fn merge_all(plan: &MergePlan) -> Result<Vec<MergedTensor>, MergeError> {
    plan.tensors
        .iter()
        .map(|tensor| plan.merged(tensor))
        .collect()
}

/// Merges all tensors on rayon's threads, to the same bits as [`merge_all`].
///
/// # Errors
/// A weight cannot be read.
pub fn merge_all_parallel(plan: &MergePlan) -> Result<Vec<MergedTensor>, MergeError> {
    let merged: Vec<_> = plan
        .tensors
        .par_iter()
        .map(|tensor| plan.merged(tensor))
        .collect();
    // Only now, so that of several errors it is always the first one that comes out.
    merged.into_iter().collect()
}

fn require_known_parameters(recipe: &Recipe) -> Result<(), MergeError> {
    let method = recipe.merge_method;
    let known = method.parameters();
    let names = recipe
        .all_parameters()
        .flat_map(|all| all.iter().map(|(name, _)| name));
    let unheard = |name: &&str| !known.contains(name);
    let no_effect = recipe.rescale_by != RescaleRule::default() && !method.is_random();
    let own = no_effect.then_some("rescale_by");
    match names.filter(unheard).chain(own).next() {
        None => Ok(()),
        Some(name) => {
            let (parameter, valid) = (name.to_owned(), known.join(", "));
            Err(MergeError::UnknownParameter {
                method,
                parameter,
                valid,
            })
        }
    }
}

struct Planner<'r, 'a> {
    recipe: &'r Recipe,
    models: &'r [(ModelRef, &'a Checkpoint)],
}

/// A tensor outside the layers stands before them or after them.
fn stands_before(role: TensorRole) -> bool {
    role.group == TensorGroup::Embedding
}

impl Planner<'_, '_> {
    fn outside_layers(
        &self,
        slice: &Slice,
        before: bool,
        tensors: &mut Vec<PlannedTensor>,
    ) -> Result<(), MergeError> {
        let wanted = |role: TensorRole| role.layer.is_none() && stands_before(role) == before;
        let mut names = BTreeSet::new();
        for source in &slice.sources {
            names.extend(self.names(source.checkpoint, wanted));
        }
        for name in names {
            // mergekit gives embeddings, final norm and head the first point of a gradient.
            let inputs = vec![name.clone(); slice.sources.len()];
            tensors.push(self.tensor(slice, 0.0, name, inputs)?);
        }
        Ok(())
    }

    fn layers(
        &self,
        slice: &Slice,
        source_layers: &mut Vec<usize>,
        tensors: &mut Vec<PlannedTensor>,
    ) -> Result<(), MergeError> {
        for offset in 0..slice.layers {
            let t = if slice.layers > 1 {
                offset as f64 / (slice.layers - 1) as f64
            } else {
                1.0
            };
            let number = source_layers.len();
            let mut names = BTreeSet::new();
            for source in &slice.sources {
                let layer = Some(source.start + offset);
                let of_layer = self.names(source.checkpoint, |role| role.layer == layer);
                names.extend(of_layer.map(|name| in_layer(&name, number)));
            }
            for name in names {
                let input = |start: usize| in_layer(&name, start + offset);
                let inputs = slice
                    .sources
                    .iter()
                    .map(|source| input(source.start))
                    .collect();
                tensors.push(self.tensor(slice, t, name, inputs)?);
            }
            let model = slice.base.unwrap_or_default();
            source_layers.push(slice.sources[model].start + offset);
        }
        Ok(())
    }

    fn names(
        &self,
        checkpoint: usize,
        wanted: impl Fn(TensorRole) -> bool,
    ) -> impl Iterator<Item = String> {
        let tensors = self.models[checkpoint].1.tensors();
        tensors
            .filter(move |(name, _)| wanted(TensorRole::of(name)))
            .map(|(name, _)| name.to_owned())
    }

    /// `names` has one entry per source of the slice.
    fn tensor(
        &self,
        slice: &Slice,
        t: f64,
        name: String,
        names: Vec<String>,
    ) -> Result<PlannedTensor, MergeError> {
        let shared = Levels {
            source: None,
            slice: slice.parameters,
            top: &self.recipe.parameters,
            t,
        };
        let mut scopes = Scopes {
            recipe: self.recipe,
            tensor: &name,
            shared,
            inputs: Vec::new(),
        };
        let (mut base, mut inputs) = (None, Vec::new());
        for (position, (source, tensor)) in slice.sources.iter().zip(&names).enumerate() {
            let input = Input {
                model: source.checkpoint,
                tensor: tensor.clone(),
            };
            if slice.base == Some(position) {
                base = Some(input);
                continue;
            }
            inputs.push(input);
            let levels = Levels {
                source: source.parameters,
                ..shared
            };
            scopes.inputs.push(Scope {
                model: source.model,
                tensor,
                levels,
            });
        }
        let operation = operation(&scopes)?;
        let shape = self.shape(&name, base.iter().chain(&inputs))?;
        Ok(PlannedTensor {
            name,
            shape,
            base,
            inputs,
            operation,
        })
    }

    fn shape<'i>(
        &self,
        name: &str,
        inputs: impl Iterator<Item = &'i Input>,
    ) -> Result<Vec<usize>, MergeError> {
        let mut first: Option<(&Checkpoint, &Input, &[usize])> = None;
        for input in inputs {
            let checkpoint = self.models[input.model].1;
            let missing = || CheckpointError::NoTensor {
                dir: checkpoint.dir().to_owned(),
                tensor: input.tensor.clone(),
            };
            let shape = &checkpoint.shape(&input.tensor).ok_or_else(missing)?.shape;
            match first {
                None => first = Some((checkpoint, input, shape)),
                Some((_, _, expected)) if expected == shape => {}
                Some((other, its, expected)) => {
                    let file = |checkpoint: &Checkpoint, input: &Input| {
                        checkpoint
                            .file_of(&input.tensor)
                            .unwrap_or(checkpoint.dir())
                            .to_owned()
                    };
                    return Err(MergeError::Shapes {
                        tensor: name.to_owned(),
                        first: file(other, its),
                        first_shape: expected.to_vec(),
                        other: file(checkpoint, input),
                        other_shape: shape.clone(),
                    });
                }
            }
        }
        Ok(first
            .map(|(_, _, shape)| shape.to_vec())
            .unwrap_or_default())
    }
}
