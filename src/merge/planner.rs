//! Working a recipe out, slice by slice and tensor by tensor.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{Architecture, Checkpoint, CheckpointError, Position};
use crate::recipe::{Levels, ModelRef, Recipe, RescaleRule};

use super::resolve::{Scope, Scopes, operation};
use super::slices::{Slice, Source, slices};
use super::{Input, MergeError, PlannedTensor};

/// What has been worked out so far, in the output's order.
pub(super) struct Planner<'r, 'a> {
    recipe: &'r Recipe,
    models: &'r [(ModelRef, &'a Checkpoint)],
    /// For each of `models`.
    names: Vec<BTreeMap<Position, Vec<&'a str>>>,
    pub(super) tensors: Vec<PlannedTensor>,
    pub(super) source_layers: Vec<usize>,
}

fn by_place(checkpoint: &Checkpoint) -> BTreeMap<Position, Vec<&str>> {
    let mut names: BTreeMap<Position, Vec<&str>> = BTreeMap::new();
    for (name, _) in checkpoint.tensors() {
        names.entry(checkpoint.architecture().place(name).position).or_default().push(name);
    }
    names
}

/// The whole recipe.
pub(super) fn plan<'r, 'a>(
    recipe: &'r Recipe,
    models: &'r [(ModelRef, &'a Checkpoint)],
) -> Result<Planner<'r, 'a>, MergeError> {
    require_known_parameters(recipe)?;
    let slices = slices(recipe, models)?;
    let (Some(first), Some(last)) = (slices.first(), slices.last()) else {
        return Err(MergeError::NoSlices);
    };
    let names = models.iter().map(|(_, checkpoint)| by_place(checkpoint)).collect();
    let mut planner =
        Planner { recipe, models, names, tensors: Vec::new(), source_layers: Vec::new() };
    planner.outside_layers(first, Position::Before)?;
    for slice in &slices {
        planner.layers(slice)?;
    }
    planner.outside_layers(last, Position::After)?;
    Ok(planner)
}

fn require_known_parameters(recipe: &Recipe) -> Result<(), MergeError> {
    let method = recipe.merge_method;
    let known = method.parameters();
    let names = recipe.all_parameters().flat_map(|all| all.iter().map(|(name, _)| name));
    let unheard = |name: &&str| !known.contains(name);
    let no_effect = recipe.rescale_by != RescaleRule::default() && !method.is_random();
    let own = no_effect.then_some("rescale_by");
    match names.filter(unheard).chain(own).next() {
        None => Ok(()),
        Some(name) => {
            let (parameter, valid) = (name.to_owned(), known.join(", "));
            Err(MergeError::UnknownParameter { method, parameter, valid })
        }
    }
}

impl Planner<'_, '_> {
    fn outside_layers(&mut self, slice: &Slice, place: Position) -> Result<(), MergeError> {
        let names = slice.sources.iter().flat_map(|source| self.names(source, place));
        let names: BTreeSet<String> = names.map(|name| (*name).to_owned()).collect();
        for name in names {
            let inputs = vec![name.clone(); slice.sources.len()];
            // mergekit gives embeddings, final norm and head the first point of a gradient.
            self.tensors.push(self.tensor(slice, 0.0, &name, inputs)?);
        }
        Ok(())
    }

    fn layers(&mut self, slice: &Slice) -> Result<(), MergeError> {
        for offset in 0..slice.layers {
            let number = self.source_layers.len();
            for name in self.layer_names(slice, offset, number)? {
                let input = |source: &Source| {
                    self.architecture(source).in_layer(&name, source.start + offset)
                };
                let inputs = slice.sources.iter().map(input).collect();
                self.tensors.push(self.tensor(slice, slice.t(offset), &name, inputs)?);
            }
            let model = slice.base.unwrap_or_default();
            self.source_layers.push(slice.sources[model].start + offset);
        }
        Ok(())
    }

    /// Under their names in the output, where the layer has the number `number`.
    fn layer_names(
        &self,
        slice: &Slice,
        offset: usize,
        number: usize,
    ) -> Result<BTreeSet<String>, MergeError> {
        let mut all = BTreeSet::new();
        for source in &slice.sources {
            let layer = source.start + offset;
            let names = self.names(source, Position::Layer(layer));
            if names.is_empty() {
                let checkpoint = self.models[source.checkpoint].1;
                let (dir, layers) = (checkpoint.dir().to_owned(), checkpoint.layers());
                return Err(MergeError::EmptyLayer { dir, layer, layers });
            }
            let architecture = self.architecture(source);
            all.extend(names.iter().map(|name| architecture.in_layer(name, number)));
        }
        Ok(all)
    }

    fn architecture(&self, source: &Source) -> &Architecture {
        self.models[source.checkpoint].1.architecture()
    }

    fn names(&self, source: &Source, place: Position) -> &[&str] {
        self.names[source.checkpoint].get(&place).map_or(&[], Vec::as_slice)
    }

    /// `names` has one entry per source of the slice.
    fn tensor(
        &self,
        slice: &Slice,
        t: f64,
        name: &str,
        names: Vec<String>,
    ) -> Result<PlannedTensor, MergeError> {
        let shared =
            Levels { source: None, slice: slice.parameters, top: &self.recipe.parameters, t };
        let mut scopes = Scopes { recipe: self.recipe, tensor: name, shared, inputs: Vec::new() };
        let (mut base, mut inputs) = (None, Vec::new());
        for (position, (source, tensor)) in slice.sources.iter().zip(&names).enumerate() {
            let input = Input { model: source.checkpoint, tensor: tensor.clone() };
            if slice.base == Some(position) {
                base = Some(input);
                continue;
            }
            inputs.push(input);
            let levels = Levels { source: source.parameters, ..shared };
            scopes.inputs.push(Scope { model: source.model, tensor, levels });
        }
        let operation = operation(&scopes)?;
        let shape = self.shape(name, base.iter().chain(&inputs))?;
        Ok(PlannedTensor { name: name.to_owned(), shape, base, inputs, operation })
    }

    fn shape<'i>(
        &self,
        name: &str,
        mut inputs: impl Iterator<Item = &'i Input>,
    ) -> Result<Vec<usize>, MergeError> {
        let Some(first) = inputs.next() else {
            return Ok(Vec::new());
        };
        let shape = self.shape_of(first)?;
        for input in inputs {
            if self.shape_of(input)? != shape {
                let found = |input: &Input| self.models[input.model].1.found(&input.tensor);
                let (first, other) = (Box::new(found(first)), Box::new(found(input)));
                let tensor = name.to_owned();
                return Err(CheckpointError::ShapesDiffer { tensor, first, other }.into());
            }
        }
        Ok(shape.to_vec())
    }

    fn shape_of(&self, input: &Input) -> Result<&[usize], CheckpointError> {
        let checkpoint = self.models[input.model].1;
        let missing = || CheckpointError::NoTensor {
            dir: checkpoint.dir().to_owned(),
            tensor: input.tensor.clone(),
        };
        Ok(&checkpoint.shape(&input.tensor).ok_or_else(missing)?.shape)
    }
}
