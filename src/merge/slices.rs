//! Both layouts of a recipe as slices whose models are found and whose layers exist.

use crate::checkpoint::Checkpoint;
use crate::recipe::{Layout, MergeMethod, ModelEntry, ModelRef, OutputSlice, Parameters, Recipe};

use super::MergeError;

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

pub(super) fn slices<'r>(recipe: &'r Recipe, models: Models) -> Result<Vec<Slice<'r>>, MergeError> {
    match &recipe.layout {
        Layout::Models(entries) => Ok(vec![whole_models(recipe, entries, models)?]),
        Layout::Slices(slices) => {
            let slice = |(i, slice)| one_slice(recipe, slice, format!("slice {i}"), models);
            slices.iter().enumerate().map(slice).collect()
        }
    }
}

/// All layers of all models; the base is added where `models` does not list it.
fn whole_models<'r>(
    recipe: &'r Recipe,
    entries: &'r [ModelEntry],
    models: Models,
) -> Result<Slice<'r>, MergeError> {
    let listed = entries.iter().map(|entry| (&entry.model, Some(&entry.parameters)));
    let base = recipe.base_model.as_ref();
    let is_listed = |base: &ModelRef| entries.iter().any(|entry| entry.model == *base);
    let added = base.filter(|base| !is_listed(base)).map(|base| (base, None));
    let source = |(model, parameters)| {
        let checkpoint = find(model, models)?;
        let end = models[checkpoint].1.layers();
        Ok(Source { model, checkpoint, start: 0, end, parameters })
    };
    let sources = listed.chain(added).map(source).collect::<Result<Vec<_>, MergeError>>()?;
    checked(recipe.merge_method, sources, base, None, "`models`", models)
}

fn one_slice<'r>(
    recipe: &'r Recipe,
    slice: &'r OutputSlice,
    place: String,
    models: Models,
) -> Result<Slice<'r>, MergeError> {
    let source = |source: &'r crate::recipe::SliceSource| {
        let (model, range) = (&source.model, source.layer_range);
        let checkpoint = find(model, models)?;
        let parameters = Some(&source.parameters);
        Ok(Source { model, checkpoint, start: range.start(), end: range.end(), parameters })
    };
    let sources = slice.sources.iter().map(source).collect::<Result<Vec<_>, MergeError>>()?;
    let base = slice.base_model.as_ref().or(recipe.base_model.as_ref());
    checked(recipe.merge_method, sources, base, Some(&slice.parameters), &place, models)
}

fn find(model: &ModelRef, models: Models) -> Result<usize, MergeError> {
    if model.lora().is_some() {
        return Err(MergeError::Adapter { model: model.clone() });
    }
    if let Some(index) = models.iter().position(|(known, _)| known == model) {
        return Ok(index);
    }
    let known: Vec<&str> = models.iter().map(|(known, _)| known.as_str()).collect();
    Err(MergeError::UnknownModel { model: model.clone(), known: known.join(", ") })
}

fn checked<'r>(
    method: MergeMethod,
    sources: Vec<Source<'r>>,
    base: Option<&ModelRef>,
    parameters: Option<&'r Parameters>,
    place: &str,
    models: Models,
) -> Result<Slice<'r>, MergeError> {
    require_count(method, sources.len(), place)?;
    require_distinct(&sources, place)?;
    require_layers(&sources, models, place)?;
    let layers = require_equal_lengths(&sources, place)?;
    let base = match method.needs_base() {
        true => Some(base_position(method, &sources, base, place)?),
        false => None,
    };
    Ok(Slice { sources, base, parameters, layers })
}

fn require_count(method: MergeMethod, found: usize, place: &str) -> Result<(), MergeError> {
    let (allowed, expected) = match method {
        MergeMethod::Passthrough => (1..=1, "exactly 1"),
        MergeMethod::Slerp => (2..=2, "exactly 2 (one is the base)"),
        _ => (1..=usize::MAX, "1 or more"),
    };
    if allowed.contains(&found) {
        return Ok(());
    }
    Err(MergeError::ModelCount { method, expected, found, place: place.to_owned() })
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

fn require_layers(sources: &[Source], models: Models, place: &str) -> Result<(), MergeError> {
    for source in sources {
        let layers = models[source.checkpoint].1.layers();
        if source.end > layers {
            let (model, place) = (source.model.clone(), place.to_owned());
            return Err(MergeError::NoLayer { model, layers, end: source.end, place });
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
) -> Result<usize, MergeError> {
    sources
        .iter()
        .position(|source| Some(source.model) == base)
        .ok_or_else(|| MergeError::NoBase { method, place: place.to_owned() })
}
