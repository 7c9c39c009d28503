//! Every layout of a recipe as slices, stack by stack, whose models are found and whose layers exist.

use crate::checkpoint::Checkpoint;
use crate::recipe::{
    BaseUse, Layout, MergeMethod, ModelEntry, ModelRef, ModuleBody, OutputModule, OutputSlice,
    Parameters, Recipe, SliceSource,
};

use super::MergeError;

/// The output's part of one stack: encoder, decoder, or all there is.
pub(super) struct StackLayout<'r> {
    /// Index into the architecture's stacks.
    pub(super) stack: usize,
    /// At least one.
    pub(super) slices: Vec<Slice<'r>>,
    pub(super) parameters: Option<&'r Parameters>,
}

/// A run of output layers.
pub(super) struct Slice<'r> {
    /// At least one.
    pub(super) sources: Vec<Source<'r>>,
    /// Which source task vectors are taken against; `None` where the method has no use for one.
    pub(super) base: Option<usize>,
    pub(super) parameters: Option<&'r Parameters>,
    /// The same number in all sources.
    pub(super) layers: usize,
}

/// A run of layers of one model.
pub(super) struct Source<'r> {
    pub(super) model: &'r ModelRef,
    /// Index into the models given.
    pub(super) checkpoint: usize,
    pub(super) start: usize,
    pub(super) parameters: Option<&'r Parameters>,
    end: usize,
}

impl Slice<'_> {
    /// How far into the slice a layer stands, for gradients.
    pub(super) fn t(&self, offset: usize) -> f64 {
        match self.layers {
            1 => 1.0,
            layers => offset as f64 / (layers - 1) as f64,
        }
    }
}

type Models<'m, 'a> = &'m [(ModelRef, &'a Checkpoint)];

/// One stack being laid out.
#[derive(Clone, Copy)]
struct Stack<'r, 'm, 'a> {
    recipe: &'r Recipe,
    models: Models<'m, 'a>,
    number: usize,
    name: &'m str,
}

/// `reference` is the model whose stacks the output has.
pub(super) fn stack_layouts<'r>(
    recipe: &'r Recipe,
    models: Models,
    reference: usize,
) -> Result<Vec<StackLayout<'r>>, MergeError> {
    let stacks = models[reference].1.architecture().stacks();
    let names: Vec<&str> = stacks.iter().map(|stack| stack.name.as_str()).collect();
    require_modules(recipe, &names)?;
    let layered = stacks.iter().filter(|stack| stack.layers > 0).count();
    if matches!(recipe.layout, Layout::Slices(_)) && layered > 1 {
        return Err(MergeError::NeedsModules { modules: names.join(", ") });
    }
    let layout = |(number, name): (usize, &&str)| Stack { recipe, models, number, name }.layout();
    names.iter().enumerate().map(layout).collect()
}

/// Every stack must be in `modules`, and nothing else.
fn require_modules(recipe: &Recipe, stacks: &[&str]) -> Result<(), MergeError> {
    let Layout::Modules(modules) = &recipe.layout else {
        return Ok(());
    };
    let listed = |name: &str| modules.iter().any(|module| module.name == name);
    let unknown = modules.iter().find(|module| !stacks.contains(&module.name.as_str()));
    let missing = stacks.iter().find(|name| !listed(name));
    let found = match (unknown, missing) {
        (Some(module), _) => format!("there is no module `{}`", module.name),
        (None, Some(name)) => format!("module `{name}` is missing"),
        (None, None) => return Ok(()),
    };
    Err(MergeError::Modules { found, valid: stacks.join(", ") })
}

impl<'r> Stack<'r, '_, '_> {
    fn layout(self) -> Result<StackLayout<'r>, MergeError> {
        let (slices, parameters) = match &self.recipe.layout {
            Layout::Models(entries) => (vec![self.whole_models(entries)?], None),
            Layout::Slices(slices) => (self.slices(slices)?, None),
            Layout::Modules(modules) => {
                let module = modules.iter().find(|module| module.name == self.name);
                module.map_or(Ok((Vec::new(), None)), |module| self.module(module))?
            }
        };
        Ok(StackLayout { stack: self.number, slices, parameters })
    }

    fn module(
        self,
        module: &'r OutputModule,
    ) -> Result<(Vec<Slice<'r>>, Option<&'r Parameters>), MergeError> {
        let slices = match &module.body {
            ModuleBody::Models(entries) => vec![self.whole_models(entries)?],
            ModuleBody::Slices(slices) => self.slices(slices)?,
        };
        Ok((slices, Some(&module.parameters)))
    }

    fn slices(self, slices: &'r [OutputSlice]) -> Result<Vec<Slice<'r>>, MergeError> {
        slices
            .iter()
            .enumerate()
            .map(|(i, slice)| self.slice(slice, &format!("slice {i}")))
            .collect()
    }

    /// All layers of all models; the base is added where `models` does not list it.
    fn whole_models(self, entries: &'r [ModelEntry]) -> Result<Slice<'r>, MergeError> {
        let listed = entries.iter().map(|entry| (&entry.model, Some(&entry.parameters)));
        let base = self.recipe.base_model.as_ref();
        let is_listed = |base: &ModelRef| entries.iter().any(|entry| entry.model == *base);
        let added = base.filter(|base| !is_listed(base)).map(|base| (base, None));
        let source = |(model, parameters)| {
            let checkpoint = self.find(model)?;
            let end = self.layers(checkpoint)?;
            Ok(Source { model, checkpoint, start: 0, end, parameters })
        };
        let sources = listed.chain(added).map(source).collect::<Result<Vec<_>, MergeError>>()?;
        self.checked(sources, base, None, "`models`")
    }

    fn slice(self, slice: &'r OutputSlice, place: &str) -> Result<Slice<'r>, MergeError> {
        let source = |source: &'r SliceSource| {
            let (model, range) = (&source.model, source.layer_range);
            let checkpoint = self.find(model)?;
            let (start, end) = match self.layers(checkpoint)? {
                // What all stacks share has no layers.
                0 => (0, 0),
                _ => (range.start(), range.end()),
            };
            Ok(Source { model, checkpoint, start, end, parameters: Some(&source.parameters) })
        };
        let sources = slice.sources.iter().map(source).collect::<Result<Vec<_>, MergeError>>()?;
        let base = slice.base_model.as_ref().or(self.recipe.base_model.as_ref());
        self.checked(sources, base, Some(&slice.parameters), place)
    }

    fn find(self, model: &ModelRef) -> Result<usize, MergeError> {
        if let Some(index) = self.models.iter().position(|(known, _)| known == model) {
            return Ok(index);
        }
        let known: Vec<&str> = self.models.iter().map(|(known, _)| known.as_str()).collect();
        Err(MergeError::UnknownModel { model: model.clone(), known: known.join(", ") })
    }

    /// Layers of a model's stack of that name.
    fn layers(self, checkpoint: usize) -> Result<usize, MergeError> {
        let (model, checkpoint) = &self.models[checkpoint];
        let stacks = checkpoint.architecture().stacks();
        let stack = stacks.iter().find(|stack| stack.name == self.name);
        let layers = stack.map(|stack| stack.layers);
        layers.ok_or_else(|| MergeError::NoStack {
            model: model.clone(),
            family: checkpoint.architecture().family().to_owned(),
            stack: self.name.to_owned(),
        })
    }

    fn checked(
        self,
        sources: Vec<Source<'r>>,
        base: Option<&ModelRef>,
        parameters: Option<&'r Parameters>,
        place: &str,
    ) -> Result<Slice<'r>, MergeError> {
        let method = self.recipe.merge_method;
        let position = base_position(method, &sources, base, place)?;
        require_count(method, sources.len() - usize::from(position.is_some()), place)?;
        require_distinct(&sources, place)?;
        self.require_layers(&sources, place)?;
        let layers = require_equal_lengths(&sources, place)?;
        Ok(Slice { sources, base: position, parameters, layers })
    }

    fn require_layers(self, sources: &[Source], place: &str) -> Result<(), MergeError> {
        for source in sources {
            let layers = self.layers(source.checkpoint)?;
            if source.end > layers {
                let (model, place) = (source.model.clone(), place.to_owned());
                return Err(MergeError::NoLayer { model, layers, end: source.end, place });
            }
        }
        Ok(())
    }
}

/// Refuses what the method cannot merge; the base is not counted where it is set apart.
pub(super) fn require_count(
    method: MergeMethod,
    found: usize,
    place: &str,
) -> Result<(), MergeError> {
    let count = method.count();
    if (count.least..=count.most).contains(&found) {
        return Ok(());
    }
    let expected = match (count.least, count.most) {
        (least, most) if least == most => format!("exactly {least}"),
        (least, _) => format!("{least} or more"),
    };
    let besides = method.base() != BaseUse::Ignored;
    Err(MergeError::ModelCount { method, expected, besides, found, place: place.to_owned() })
}

fn require_distinct(sources: &[Source], place: &str) -> Result<(), MergeError> {
    for (i, source) in sources.iter().enumerate() {
        if sources[..i].iter().any(|earlier| earlier.model == source.model) {
            let (model, place) = (source.model.clone(), place.to_owned());
            return Err(MergeError::Duplicate { model, place });
        }
    }
    Ok(())
}

fn require_equal_lengths(sources: &[Source], place: &str) -> Result<usize, MergeError> {
    let mut lengths = sources.iter().map(|source| source.end - source.start);
    let first = lengths.next().unwrap_or_default();
    match lengths.find(|length| *length != first) {
        None => Ok(first),
        Some(other) => Err(MergeError::SliceLengths { place: place.to_owned(), first, other }),
    }
}

fn base_position(
    method: MergeMethod,
    sources: &[Source],
    base: Option<&ModelRef>,
    place: &str,
) -> Result<Option<usize>, MergeError> {
    let found = || sources.iter().position(|source| Some(source.model) == base);
    match method.base() {
        BaseUse::Ignored => Ok(None),
        BaseUse::Optional => Ok(found()),
        BaseUse::Required => {
            found().map(Some).ok_or_else(|| MergeError::NoBase { method, place: place.to_owned() })
        }
    }
}
