//! Working a recipe out, stack by stack, slice by slice and tensor by tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::checkpoint::{Checkpoint, CheckpointError, Place, Position};
use crate::recipe::{BaseUse, Levels, MergeMethod, ModelRef, Parameters, Recipe, TokenRouter};

use super::mixture::{Mixture, Routed};
use super::plan::{Tokens, vocabulary_models};
use super::resolve::{Scope, Scopes, operation};
use super::slices::{Slice, Source, StackLayout, require_count, stack_layouts};
use super::{
    Input, LayerGates, MergeError, Operation, PlannedTensor, TokenAxis, TokenTensor, Vocabulary,
};

/// What has been worked out so far, in the output's order.
pub(super) struct Planner<'r, 'a> {
    recipe: &'r Recipe,
    pub(super) models: &'r [(ModelRef, &'a Checkpoint)],
    vocabulary: Option<&'r Vocabulary>,
    /// For each of `models`.
    names: Vec<BTreeMap<Place, Vec<String>>>,
    pub(super) tensors: Vec<PlannedTensor>,
    /// For each stack of the reference model.
    pub(super) source_layers: Vec<Vec<usize>>,
    /// The reference model's tensors, with layers numbered 0.
    known: BTreeSet<String>,
    /// Whose config the output's is made of: the base, or else the first model.
    pub(super) reference: usize,
    mixture: Option<Mixture<'r>>,
    pub(super) routed: Option<Routed>,
}

/// The whole recipe.
pub(super) fn plan<'r, 'a>(
    recipe: &'r Recipe,
    models: &'r [(ModelRef, &'a Checkpoint)],
    vocabulary: Option<&'r Vocabulary>,
    mixture: Option<(&'r TokenRouter, &'r LayerGates)>,
) -> Result<Planner<'r, 'a>, MergeError> {
    let reference = reference_index(recipe, models)?;
    let mixture = mixture.map(|(router, gates)| Mixture::new(router, gates, models, reference));
    let mixture = mixture.transpose()?;
    let layouts = stack_layouts(recipe, models, reference)?;
    let of_reference = models[reference].1;
    let names = models.iter().map(|(_, checkpoint)| by_place(checkpoint, of_reference)).collect();
    let (tensors, source_layers) = (Vec::new(), Vec::new());
    let architecture = of_reference.architecture();
    let known = of_reference.tensors().map(|(name, _)| architecture.in_layer(name, 0)).collect();
    let mut planner = Planner {
        recipe,
        models,
        vocabulary,
        names,
        tensors,
        source_layers,
        known,
        reference,
        mixture,
        routed: None,
    };
    for layout in &layouts {
        planner.stack(layout)?;
    }
    let layers = planner.source_layers.iter().map(Vec::len).sum();
    planner.routed = planner.mixture.as_ref().map(|it| it.routed(layers)).transpose()?;
    Ok(planner)
}

/// The model whose config and tokenizer the output takes: the base, or else the first one named. `None`: none is named.
pub fn reference(recipe: &Recipe) -> Option<&ModelRef> {
    recipe.base_model.as_ref().or(recipe.models().first().copied())
}

fn reference_index(
    recipe: &Recipe,
    models: &[(ModelRef, &Checkpoint)],
) -> Result<usize, MergeError> {
    let Some(named) = reference(recipe) else {
        return Err(MergeError::NoSlices);
    };
    models.iter().position(|(known, _)| known == named).ok_or_else(|| MergeError::UnknownModel {
        model: named.clone(),
        known: models.iter().map(|(known, _)| known.as_str()).collect::<Vec<_>>().join(", "),
    })
}

/// Under the names that the reference model has them under.
fn by_place(checkpoint: &Checkpoint, reference: &Checkpoint) -> BTreeMap<Place, Vec<String>> {
    let mut names: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    let architecture = checkpoint.architecture();
    for (name, _) in checkpoint.tensors() {
        let mut spellings = architecture.spellings(name);
        let known = spellings.find(|spelling| reference.shape(spelling).is_some());
        let name = known.unwrap_or_else(|| name.to_owned());
        names.entry(architecture.place(&name)).or_default().push(name);
    }
    names
}

/// Where one output tensor's settings are looked up.
#[derive(Clone, Copy)]
struct Setting<'s, 'r> {
    slice: &'s Slice<'r>,
    module: Option<&'r Parameters>,
    t: f64,
}

impl Planner<'_, '_> {
    fn stack(&mut self, layout: &StackLayout) -> Result<(), MergeError> {
        let (Some(first), Some(last)) = (layout.slices.first(), layout.slices.last()) else {
            return Err(MergeError::NoSlices);
        };
        let place = |position| Place { stack: layout.stack, position };
        self.outside_layers(layout, first, place(Position::Before))?;
        self.source_layers.push(Vec::new());
        for slice in &layout.slices {
            self.layers(layout, slice)?;
        }
        self.outside_layers(layout, last, place(Position::After))
    }

    /// mergekit gives tensors outside the layers the first point of a gradient.
    fn outside_layers(
        &mut self,
        layout: &StackLayout,
        slice: &Slice,
        place: Place,
    ) -> Result<(), MergeError> {
        let names = slice.sources.iter().flat_map(|source| self.names(source, place));
        let names: BTreeSet<String> = names.cloned().collect();
        for name in names {
            let setting = Setting { slice, module: layout.parameters, t: 0.0 };
            let inputs = vec![name.clone(); slice.sources.len()];
            self.tensors.extend(self.tensor(setting, &name, inputs)?);
        }
        Ok(())
    }

    fn layers(&mut self, layout: &StackLayout, slice: &Slice) -> Result<(), MergeError> {
        for offset in 0..slice.layers {
            let number = self.source_layers[layout.stack].len();
            let source = slice.sources[slice.base.unwrap_or_default()].start + offset;
            for name in self.layer_names(layout.stack, slice, offset, number)? {
                let architecture = self.models[self.reference].1.architecture();
                let input = |source: &Source| architecture.in_layer(&name, source.start + offset);
                let inputs = slice.sources.iter().map(input).collect();
                let setting = Setting { slice, module: layout.parameters, t: slice.t(offset) };
                let planned = self.tensor(setting, &name, inputs)?;
                match self.mixture.as_ref().filter(|mixture| mixture.routes(number)) {
                    Some(mixture) => self.tensors.extend(self.routed(mixture, planned, source)?),
                    None => self.tensors.extend(planned),
                }
            }
            self.source_layers[layout.stack].push(source);
        }
        Ok(())
    }

    /// Under their names in the output, where the layer has the number `number`.
    fn layer_names(
        &self,
        stack: usize,
        slice: &Slice,
        offset: usize,
        number: usize,
    ) -> Result<BTreeSet<String>, MergeError> {
        let mut all = BTreeSet::new();
        for source in &slice.sources {
            let layer = source.start + offset;
            let names = self.names(source, Place { stack, position: Position::Layer(layer) });
            let checkpoint = self.models[source.checkpoint].1;
            if names.is_empty() {
                let (dir, layers) = (checkpoint.dir().to_owned(), checkpoint.layers());
                return Err(MergeError::EmptyLayer { dir, layer, layers });
            }
            all.extend(names.iter().map(|name| checkpoint.architecture().in_layer(name, number)));
        }
        Ok(all)
    }

    fn names(&self, source: &Source, place: Place) -> &[String] {
        self.names[source.checkpoint].get(&place).map_or(&[], Vec::as_slice)
    }

    /// `names` has one entry per source of the slice. `None`: the method leaves the tensor out.
    fn tensor(
        &self,
        setting: Setting,
        name: &str,
        names: Vec<String>,
    ) -> Result<Option<PlannedTensor>, MergeError> {
        let Setting { slice, module, t } = setting;
        let (source, top) = (None, &self.recipe.parameters);
        let shared = Levels { source, slice: slice.parameters, module, top, t };
        let mut scopes = Scopes { recipe: self.recipe, tensor: name, shared, inputs: Vec::new() };
        let (mut base, mut inputs) = (None, Vec::new());
        for (position, (source, tensor)) in slice.sources.iter().zip(&names).enumerate() {
            let Some(input) = self.input(source.checkpoint, tensor)? else {
                continue;
            };
            if slice.base == Some(position) {
                base = Some(input);
                continue;
            }
            inputs.push(input);
            let levels = Levels { source: source.parameters, ..shared };
            scopes.inputs.push(Scope { model: source.model, tensor, levels });
        }
        self.require_known_name(name, slice)?;
        let found = inputs.len() + usize::from(base.is_some());
        let Some(operation) = self.operation(&scopes, base.is_some(), found, slice, name)? else {
            return Ok(None);
        };
        let all: Vec<&Input> = base.iter().chain(&inputs).collect();
        let (shape, tokens) = match self.tokens(slice, name, &all)? {
            Some((shape, tokens)) => (shape, Some(Arc::new(tokens))),
            None => (self.shape(name, &all)?, None),
        };
        Ok(Some(PlannedTensor { name: name.to_owned(), shape, base, inputs, operation, tokens }))
    }

    /// Shape and rows of a tensor that is indexed by tokens, where the recipe chooses them. `inputs` begin with the base
    /// if there is one.
    fn tokens(
        &self,
        slice: &Slice,
        name: &str,
        inputs: &[&Input],
    ) -> Result<Option<(Vec<usize>, Tokens)>, MergeError> {
        let axis = self.models[self.reference].1.architecture().vocabulary_axis(name);
        let (Some(vocabulary), Some(axis), Some(first)) = (self.vocabulary, axis, inputs.first())
        else {
            return Ok(None);
        };
        let mut shape = self.shape_of(first)?.to_vec();
        let place = |input: &Input| {
            let model = &self.models[input.model].0;
            vocabulary_models(self.recipe).position(|known| known == model).unwrap_or_default()
        };
        let mut token_tensors = Vec::new();
        for input in inputs {
            let mut of_input = self.shape_of(input)?.to_vec();
            let rows = of_input.get(axis).copied().unwrap_or_default();
            if let (Some(rows), Some(of_first)) = (of_input.get_mut(axis), shape.get(axis)) {
                *rows = *of_first;
            }
            if of_input != shape {
                return Err(self.shapes_differ(name, first, input));
            }
            token_tensors.push(TokenTensor { model: place(input), rows });
        }
        let base = slice.base.map(|base| &slice.sources[base]);
        let base = base.or(slice
            .sources
            .iter()
            .find(|source| Some(source.model) == self.recipe.base_model.as_ref()));
        let base = base.map(|source| Input { model: source.checkpoint, tensor: String::new() });
        let base = base.as_ref().map(place);
        let alignment = vocabulary.align(name, &token_tensors, base)?;
        let product = |lengths: &[usize]| lengths.iter().product();
        let outer = product(&shape[..axis]);
        let inner = product(&shape[(axis + 1).min(shape.len())..]);
        if let Some(rows) = shape.get_mut(axis) {
            *rows = alignment.size();
        }
        Ok(Some((shape, Tokens { alignment, axis: TokenAxis { outer, inner } })))
    }

    /// The output is a model like the reference: what that has no place for would be in the way of whoever loads it.
    fn require_known_name(&self, name: &str, slice: &Slice) -> Result<(), MergeError> {
        let (reference_name, reference) = &self.models[self.reference];
        let architecture = reference.architecture();
        let is_source = slice.sources.iter().any(|source| source.checkpoint == self.reference);
        let has = self.known.contains(&architecture.in_layer(name, 0));
        if has || !is_source || !architecture.is_known() || architecture.copy_of(name).is_some() {
            return Ok(());
        }
        let having = |source: &&Source| self.models[source.checkpoint].1.shape(name).is_some();
        let model = slice.sources.iter().find(having);
        Err(MergeError::UnknownTensor {
            tensor: name.to_owned(),
            model: model.map_or_else(String::new, |source| source.model.to_string()),
            reference: reference_name.clone(),
        })
    }

    /// `None` where the model lacks a tensor that it may lack.
    pub(super) fn input(&self, model: usize, tensor: &str) -> Result<Option<Input>, MergeError> {
        let checkpoint = self.models[model].1;
        let input = |tensor: &str| Input { model, tensor: tensor.to_owned() };
        let architecture = checkpoint.architecture();
        let mut spellings = architecture.spellings(tensor);
        if let Some(spelling) = spellings.find(|name| checkpoint.shape(name).is_some()) {
            return Ok(Some(input(&spelling)));
        }
        if let Some(original) = architecture.copy_of(tensor) {
            return Ok(Some(input(original)));
        }
        if architecture.is_optional(tensor) || !architecture.is_known() {
            return Ok(None);
        }
        let (dir, tensor) = (checkpoint.dir().to_owned(), tensor.to_owned());
        Err(CheckpointError::NoTensor { dir, tensor }.into())
    }

    /// What is done with a tensor that `found` of the slice's models have, `has_base` if the base is one of them.
    fn operation(
        &self,
        scopes: &Scopes,
        has_base: bool,
        found: usize,
        slice: &Slice,
        name: &str,
    ) -> Result<Option<Operation>, MergeError> {
        use MergeMethod::{ArceeFusion, ModelStock, Nearswap, Nuslerp, Slerp};
        let method = self.recipe.merge_method;
        if found == slice.sources.len() {
            return operation(scopes).map(Some);
        }
        let only = if has_base { Operation::KeepBase } else { Operation::Take { input: 0 } };
        match method {
            Slerp | Nuslerp | ArceeFusion if found == 1 => return Ok(Some(only)),
            Nearswap | ModelStock if found == 1 && has_base => return Ok(Some(only)),
            ModelStock if found < 3 => return Ok(None),
            _ => {}
        }
        if method.base() == BaseUse::Required && !has_base {
            return Err(MergeError::NoBase { method, place: format!("tensor `{name}`") });
        }
        require_count(method, scopes.inputs.len(), &format!("tensor `{name}`"))?;
        operation(scopes).map(Some)
    }

    fn shape(&self, name: &str, inputs: &[&Input]) -> Result<Vec<usize>, MergeError> {
        let Some((first, others)) = inputs.split_first() else {
            return Ok(Vec::new());
        };
        let shape = self.shape_of(first)?;
        for input in others {
            if self.shape_of(input)? != shape {
                return Err(self.shapes_differ(name, first, input));
            }
        }
        Ok(shape.to_vec())
    }

    pub(super) fn shapes_differ(&self, name: &str, first: &Input, other: &Input) -> MergeError {
        let found = |input: &Input| self.models[input.model].1.found(&input.tensor);
        let (first, other) = (Box::new(found(first)), Box::new(found(other)));
        let error = CheckpointError::ShapesDiffer { tensor: name.to_owned(), first, other };
        let architecture = self.models[self.reference].1.architecture();
        match architecture.vocabulary_axis(name) {
            Some(_) if self.vocabulary.is_none() => MergeError::Vocabularies { found: error },
            _ => error.into(),
        }
    }

    pub(super) fn shape_of(&self, input: &Input) -> Result<&[usize], CheckpointError> {
        let checkpoint = self.models[input.model].1;
        let missing = || CheckpointError::NoTensor {
            dir: checkpoint.dir().to_owned(),
            tensor: input.tensor.clone(),
        };
        Ok(&checkpoint.shape(&input.tensor).ok_or_else(missing)?.shape)
    }
}
