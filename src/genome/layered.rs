//! A recipe taken apart layer by layer, so that its layers can be put together otherwise.

use std::ops::Range;

use super::filters::Landmarks;
use super::runs::joined;
use crate::recipe::{
    BaseUse, Condition, Kind, LayerRange, Layout, Levels, MergeMethod, ModelRef, OutputSlice,
    ParameterSpec, Parameters, Profile, Recipe, Scope, Setting, SliceSource, Value,
};

/// Values with which a model of weight 1 among models of weight 0 is given back.
const NEUTRAL: [(&str, f64); 4] =
    [("density", 1.0), ("gamma", 0.0), ("epsilon", 0.0), ("lambda", 1.0)];

/// Each layer as a slice of its own, with the values that gradients have at its place among all layers.
pub(super) struct Layered<'r> {
    recipe: &'r Recipe,
    layers: Vec<OutputSlice>,
    /// What holds ahead of the layers, and behind them.
    ends: [OutputSlice; 2],
    /// The recipe's own parameters, without those that differ by layer.
    top: Parameters,
}

impl<'r> Layered<'r> {
    /// `None` for a recipe of modules, and for one without layers.
    pub(super) fn of(recipe: &'r Recipe, layers: usize) -> Option<Self> {
        let (varying, top) = split(&recipe.parameters);
        let slices = match &recipe.layout {
            Layout::Models(_) => vec![whole(recipe, layers)?],
            Layout::Slices(slices) => slices.clone(),
            Layout::Modules(_) => return None,
        };
        let (first, last) = (slices.first()?, slices.last()?);
        // mergekit gives tensors outside the layers the first point of a gradient.
        let ends = [first, last].map(|slice| one_layer(slice, 0, 0.0, &varying));
        let layers = slices.iter().flat_map(|slice| single_layers(slice, &varying)).collect();
        Some(Self { recipe, layers, ends, top })
    }

    pub(super) fn layers(&self, layers: Range<usize>) -> &[OutputSlice] {
        self.layers.get(layers).unwrap_or(&[])
    }

    /// In the output's order.
    pub(super) fn all(&self) -> &[OutputSlice] {
        &self.layers
    }

    /// The parameters that all layers share.
    pub(super) fn top(&self) -> &Parameters {
        &self.top
    }

    pub(super) fn is_of_the_same_method(&self, other: &Layered<'_>) -> bool {
        let of = |recipe: &Recipe| (recipe.merge_method, recipe.base_model.clone());
        of(self.recipe) == of(other.recipe)
    }

    /// The same recipe of other layers; `shared` takes the place of what the slices said for all models.
    pub(super) fn with_layout(&self, layout: Layout, shared: Parameters) -> Recipe {
        let mut parameters = self.top.clone();
        for (name, setting) in shared.iter() {
            parameters.set(name, setting.clone());
        }
        Recipe { layout, parameters, ..self.recipe.clone() }
    }

    /// Whether the layer is as [`Layered::take`] makes it, for tensors with these words in their names.
    pub(super) fn is_own(&self, slice: &OutputSlice, model: &ModelRef, names: &[String]) -> bool {
        let base = self.task_base(slice);
        let is_base = base == Some(model);
        let is_there = is_base || slice.sources.iter().any(|source| source.model == *model);
        let weight = self.method().parameter("weight");
        let neutral = |name: &String| {
            let is = |source: &SliceSource, spec: &ParameterSpec, wanted: f64| {
                let value = self.value(spec, slice, Some(source), name);
                value.map(Value::as_number) == Some(wanted)
            };
            let shared = |(word, wanted): &(&str, f64)| {
                let spec = self.method().parameter(word).filter(|s| s.scope == Scope::Shared);
                spec.is_none_or(|spec| {
                    self.value(spec, slice, None, name).map(Value::as_number) == Some(*wanted)
                })
            };
            let mut sources = slice.sources.iter().filter(|source| base != Some(&source.model));
            NEUTRAL.iter().all(shared)
                && sources.all(|source| {
                    let wanted = f64::from(u8::from(source.model == *model));
                    weight.is_some_and(|spec| is(source, spec, wanted))
                })
        };
        is_there && names.iter().all(neutral)
    }

    fn method(&self) -> MergeMethod {
        self.recipe.merge_method
    }

    /// Makes the layer `model`'s own.
    pub(super) fn take(&self, slice: &mut OutputSlice, model: &ModelRef) {
        let Some(layer_range) = slice.sources.first().map(|source| source.layer_range) else {
            return;
        };
        let base = self.task_base(slice).cloned();
        let own = (base.as_ref() != Some(model)).then(|| SliceSource {
            model: model.clone(),
            layer_range,
            parameters: self.neutral(1.0),
        });
        let base = base.map(|model| {
            let parameters = Parameters::default();
            SliceSource { model, layer_range, parameters }
        });
        slice.sources = own.into_iter().chain(base).collect();
        if self.method().parameter("lambda").is_some() {
            slice.parameters.set("lambda", 1.0);
        }
    }

    /// The base where task vectors are merged, which is no source of its own.
    fn task_base<'s>(&'s self, slice: &'s OutputSlice) -> Option<&'s ModelRef> {
        let base = slice.base_model.as_ref().or(self.recipe.base_model.as_ref());
        base.filter(|_| self.method().base() == BaseUse::Required)
    }

    fn neutral(&self, weight: f64) -> Parameters {
        let known = |name: &str| {
            let spec = self.method().parameter(name);
            spec.is_some_and(|spec| spec.scope == Scope::PerModel)
        };
        let values = [("weight", weight)].into_iter().chain(NEUTRAL);
        values.filter(|(name, _)| known(name)).collect()
    }

    /// Multiplies what the layer adds to the residual stream: its tensors that are called as those of the first layer in
    /// `outputs`.
    pub(super) fn scale(&self, slice: &mut OutputSlice, factor: f64, outputs: &[String]) {
        for name in outputs {
            let Some((_, filter)) = name.split_once(".0.") else { continue };
            match self.method() {
                MergeMethod::Passthrough => self.multiply(slice, "scale", factor, name, filter),
                MergeMethod::Linear => {
                    let sum = self.normalizing_sum(slice, name);
                    if sum.is_some() {
                        prepend(&mut slice.parameters, "normalize", filter, false.into());
                    }
                    self.multiply(slice, "weight", factor / sum.unwrap_or(1.0), name, filter);
                }
                _ => {}
            }
        }
    }

    fn multiply(
        &self,
        slice: &mut OutputSlice,
        word: &'static str,
        factor: f64,
        name: &str,
        filter: &str,
    ) {
        let Some(spec) = self.method().parameter(word) else { return };
        for index in 0..slice.sources.len() {
            let value = self.value(spec, slice, slice.sources.get(index), name);
            if let (Some(value), Some(source)) = (value, slice.sources.get_mut(index)) {
                let value = Value::Number(value.as_number() * factor);
                prepend(&mut source.parameters, word, filter, value);
            }
        }
    }

    /// What the weights of a tensor are divided by, if they are.
    fn normalizing_sum(&self, slice: &OutputSlice, name: &str) -> Option<f64> {
        let spec = |word| self.method().parameter(word);
        let normalize = self.value(spec("normalize")?, slice, None, name)?;
        let weight = spec("weight")?;
        let weights = slice.sources.iter().filter_map(|source| {
            self.value(weight, slice, Some(source), name).map(Value::as_number)
        });
        let sum: f64 = weights.sum();
        (normalize.as_bool() == Some(true) && sum != 0.0).then_some(sum)
    }

    /// What holds for a tensor of that name, in a slice of constants.
    fn value(
        &self,
        spec: &ParameterSpec,
        slice: &OutputSlice,
        source: Option<&SliceSource>,
        name: &str,
    ) -> Option<Value> {
        let source = source.map(|source| &source.parameters);
        let source = source.filter(|_| spec.scope == Scope::PerModel);
        let slice = Some(&slice.parameters);
        let levels = Levels { source, slice, module: None, top: &self.top, t: 0.0 };
        let set = levels.profile(spec.name, name).and_then(|profile| profile.values().first());
        let default = || match spec.kind {
            Kind::Truth => spec.default.map(|default| Value::Bool(default != 0.0)),
            _ => spec.default.map(Value::Number),
        };
        set.copied().or_else(default)
    }

    /// The recipe of these layers, in which tensors outside the layers are merged as they were.
    pub(super) fn recipe(&self, mut slices: Vec<OutputSlice>, landmarks: &Landmarks) -> Recipe {
        let [before, after] = &self.ends;
        if let Some(first) = slices.first_mut() {
            self.pin(first, before, &landmarks.before);
        }
        if let Some(last) = slices.last_mut() {
            self.pin(last, after, &landmarks.after);
        }
        let layout = Layout::Slices(joined(slices));
        Recipe { layout, parameters: self.top.clone(), ..self.recipe.clone() }
    }

    /// Gives the tensors of these names in `slice` the values that they have in `outside`.
    fn pin(&self, slice: &mut OutputSlice, outside: &OutputSlice, names: &[String]) {
        self.add_sources(slice, outside);
        let specs = self.method().parameters().iter();
        for (spec, name) in specs.flat_map(|spec| names.iter().map(move |name| (spec, name))) {
            match spec.scope {
                Scope::Shared => {
                    let wanted = self.value(spec, outside, None, name);
                    let found = self.value(spec, slice, None, name);
                    if let Some(value) = wanted.filter(|_| wanted != found) {
                        prepend(&mut slice.parameters, spec.name, name, value);
                    }
                }
                Scope::PerModel => self.pin_sources(slice, outside, spec, name),
            }
        }
    }

    /// Those that only `outside` has get no weight.
    fn add_sources(&self, slice: &mut OutputSlice, outside: &OutputSlice) {
        let range = slice.sources.first().map(|source| source.layer_range);
        let (Some(layer_range), Some(_)) = (range, self.method().parameter("weight")) else {
            return;
        };
        for source in &outside.sources {
            if !slice.sources.iter().any(|known| known.model == source.model) {
                let (model, parameters) = (source.model.clone(), self.neutral(0.0));
                slice.sources.push(SliceSource { model, layer_range, parameters });
            }
        }
    }

    fn pin_sources(
        &self,
        slice: &mut OutputSlice,
        outside: &OutputSlice,
        spec: &ParameterSpec,
        name: &str,
    ) {
        for index in 0..slice.sources.len() {
            let Some(source) = slice.sources.get(index) else { continue };
            if self.task_base(slice) == Some(&source.model) {
                continue;
            }
            let found = self.value(spec, slice, Some(source), name);
            let wanted = match outside.sources.iter().find(|other| other.model == source.model) {
                Some(other) => self.value(spec, outside, Some(other), name),
                None => (spec.name == "weight").then_some(Value::Number(0.0)),
            };
            if let (Some(value), Some(source)) =
                (wanted.filter(|_| wanted != found), slice.sources.get_mut(index))
            {
                prepend(&mut source.parameters, spec.name, name, value);
            }
        }
    }
}

/// Those that differ by layer, and the others.
fn split(parameters: &Parameters) -> (Parameters, Parameters) {
    let varies = |setting: &Setting| {
        let is_gradient = |profile: &Profile| matches!(profile, Profile::Gradient(_));
        match setting {
            Setting::Everywhere(profile) => is_gradient(profile),
            Setting::Conditional(conditions) => conditions.iter().any(|c| is_gradient(&c.value)),
        }
    };
    let all = || parameters.iter().map(|(name, setting)| (name, setting.clone()));
    let varying = all().filter(|(_, setting)| varies(setting)).collect();
    (varying, all().filter(|(_, setting)| !varies(setting)).collect())
}

/// Whole models as one slice.
fn whole(recipe: &Recipe, layers: usize) -> Option<OutputSlice> {
    let layer_range = LayerRange::new(0, layers)?;
    let Layout::Models(entries) = &recipe.layout else {
        return None;
    };
    let source = |model: &ModelRef, parameters: &Parameters| SliceSource {
        model: model.clone(),
        layer_range,
        parameters: parameters.clone(),
    };
    let listed = entries.iter().map(|entry| source(&entry.model, &entry.parameters));
    let is_listed = |base: &&ModelRef| entries.iter().any(|entry| entry.model == **base);
    let base = recipe.base_model.as_ref().filter(|base| !is_listed(base));
    let base = base.map(|base| source(base, &Parameters::default()));
    let sources = listed.chain(base).collect();
    Some(OutputSlice { sources, base_model: None, parameters: Parameters::default() })
}

fn single_layers(slice: &OutputSlice, varying: &Parameters) -> Vec<OutputSlice> {
    let layers = slice.sources.first().map_or(0, |source| source.layer_range.layers());
    let t = |offset: usize| match layers {
        1 => 1.0,
        _ => offset as f64 / (layers - 1) as f64,
    };
    (0..layers).map(|offset| one_layer(slice, offset, t(offset), varying)).collect()
}

/// `varying` are the recipe's own parameters that the slice does not have.
fn one_layer(slice: &OutputSlice, offset: usize, t: f64, varying: &Parameters) -> OutputSlice {
    let source = |source: &SliceSource| {
        let start = source.layer_range.start() + offset;
        let layer_range = LayerRange::new(start, start + 1).unwrap_or(source.layer_range);
        SliceSource {
            model: source.model.clone(),
            layer_range,
            parameters: at(&source.parameters, t),
        }
    };
    let mut parameters = at(varying, t);
    for (name, setting) in at(&slice.parameters, t).iter() {
        parameters.set(name, setting.clone());
    }
    let (sources, base_model) = (slice.sources.iter().map(source), slice.base_model.clone());
    OutputSlice { sources: sources.collect(), base_model, parameters }
}

fn at(parameters: &Parameters, t: f64) -> Parameters {
    let setting = |setting: &Setting| match setting {
        Setting::Everywhere(profile) => Setting::Everywhere(profile.at(t)),
        Setting::Conditional(conditions) => {
            let of = |c: &Condition| Condition { filter: c.filter.clone(), value: c.value.at(t) };
            Setting::Conditional(conditions.iter().map(of).collect())
        }
    };
    parameters.iter().map(|(name, found)| (name, setting(found))).collect()
}

/// Sets the parameter for tensors whose names contain `filter`, ahead of what holds for others.
fn prepend(parameters: &mut Parameters, word: &str, filter: &str, value: Value) {
    let condition = |filter: Option<String>, value| Condition { filter, value };
    let mut conditions = vec![condition(Some(filter.to_owned()), Profile::Constant(value))];
    match parameters.get(word) {
        None => {}
        Some(Setting::Everywhere(profile)) => conditions.push(condition(None, profile.clone())),
        Some(Setting::Conditional(others)) => conditions.extend(others.iter().cloned()),
    }
    parameters.set(word, Setting::Conditional(conditions));
}

/// The same without conditions for filters that `is_left_out`.
pub(super) fn without(parameters: &Parameters, is_left_out: &dyn Fn(&str) -> bool) -> Parameters {
    let rest = |setting: &Setting| match setting {
        Setting::Everywhere(_) => Some(setting.clone()),
        Setting::Conditional(all) => {
            let stays = |c: &&Condition| !c.filter.as_deref().is_some_and(is_left_out);
            let kept: Vec<Condition> = all.iter().filter(stays).cloned().collect();
            match kept.as_slice() {
                [] => None,
                [Condition { filter: None, value }] if kept.len() < all.len() => {
                    Some(Setting::Everywhere(value.clone()))
                }
                _ => Some(Setting::Conditional(kept)),
            }
        }
    };
    parameters.iter().filter_map(|(name, setting)| Some((name, rest(setting)?))).collect()
}
