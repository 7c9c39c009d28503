//! From a genotype to the recipe it stands for. Total: every genotype of the space has a recipe.

use std::collections::BTreeMap;

use super::{Dimension, Gene, Genotype};
use crate::recipe::{
    Condition, Dtype, LayerRange, Layout, MergeMethod, ModelEntry, ModelRef, OutputSlice,
    Parameters, Profile, Recipe, Setting, SliceSource, Value,
};
use crate::space::{
    Axis, Choice, Depth, GeneKey, ParameterName, ParameterSpec, Place, SearchSpace, TensorGroup,
};

/// A search space bound to the depth of its base model.
#[derive(Debug, Clone)]
pub struct Decoder {
    space: SearchSpace,
    layers: usize,
    dimensions: Vec<Dimension>,
    index: BTreeMap<GeneKey, usize>,
}

impl Decoder {
    /// Lists the genes of `space` for models of `layers` layers.
    pub fn new(space: SearchSpace, layers: usize) -> Self {
        let genes = space.genes(layers);
        let index = genes.iter().enumerate().map(|(i, (key, _))| (*key, i)).collect();
        let dimensions = genes.into_iter().map(|(_, dimension)| dimension).collect();
        Self { space, layers, dimensions, index }
    }

    /// The space it decodes for.
    pub fn space(&self) -> &SearchSpace {
        &self.space
    }

    /// One entry per gene, in genotype order.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The recipe of `genotype`, which must have one gene per dimension (as any optimizer's has).
    pub fn decode(&self, genotype: &Genotype) -> Recipe {
        let reading = Reading { decoder: self, genes: &genotype.0 };
        let mut recipe = reading.recipe();
        if let Some(Choice::Number(seed)) = reading.value(ParameterName::MaskSeed, Place::default())
        {
            recipe.mask_seed = seed as u64;
        }
        recipe
    }
}

/// One genotype being read.
struct Reading<'a> {
    decoder: &'a Decoder,
    genes: &'a [Gene],
}

impl Reading<'_> {
    fn recipe(&self) -> Recipe {
        let method = self.method();
        let experts = self.taking_part();
        match method {
            MergeMethod::Passthrough => self.passthrough(),
            MergeMethod::Slerp => self.slerp(),
            // Without experts every method gives the base model back.
            _ if experts.is_empty() => passthrough_of(&self.space().base),
            _ => self.weighted(method, &experts),
        }
    }

    fn space(&self) -> &SearchSpace {
        &self.decoder.space
    }

    fn category(&self, key: GeneKey) -> Option<usize> {
        match self.decoder.index.get(&key).and_then(|&i| self.genes.get(i)) {
            Some(Gene::Category(choice)) => Some(*choice),
            _ => None,
        }
    }

    fn method(&self) -> MergeMethod {
        self.space().methods[self.category(GeneKey::Method).unwrap_or(0)]
    }

    /// Choice 0 is `in`; without the gene all take part.
    fn taking_part(&self) -> Vec<usize> {
        (0..self.space().experts.len())
            .filter(|&expert| self.category(GeneKey::TakesPart { expert }).unwrap_or(0) == 0)
            .collect()
    }

    fn weighted(&self, method: MergeMethod, experts: &[usize]) -> Recipe {
        let per_expert: &[ParameterName] = match method {
            MergeMethod::Ties | MergeMethod::DareTies | MergeMethod::DareLinear => {
                &[ParameterName::Weight, ParameterName::Density]
            }
            _ => &[ParameterName::Weight],
        };
        let base_model = (method != MergeMethod::Linear).then(|| self.space().base.clone());
        let layout = match self.space().depth {
            Depth::ControlPoints(_) => Layout::Models(
                experts
                    .iter()
                    .map(|&expert| ModelEntry {
                        model: self.space().experts[expert].model.clone(),
                        parameters: self.parameters(per_expert, Some(expert), None),
                    })
                    .collect(),
            ),
            Depth::Blocks { .. } => Layout::Slices(
                self.blocks()
                    .map(|(block, range)| {
                        self.weighted_slice(per_expert, experts, base_model.as_ref(), block, range)
                    })
                    .collect(),
            ),
        };
        let global: &[ParameterName] = match method {
            MergeMethod::Linear => &[ParameterName::Normalize],
            MergeMethod::Ties | MergeMethod::DareTies | MergeMethod::DareLinear => {
                &[ParameterName::Lambda, ParameterName::Normalize, ParameterName::Rescale]
            }
            _ => &[ParameterName::Lambda, ParameterName::Normalize],
        };
        recipe(method, base_model, layout, self.parameters(global, None, None))
    }

    fn weighted_slice(
        &self,
        per_expert: &[ParameterName],
        experts: &[usize],
        base_model: Option<&ModelRef>,
        block: usize,
        layer_range: LayerRange,
    ) -> OutputSlice {
        let of_expert = |&expert: &usize| SliceSource {
            model: self.space().experts[expert].model.clone(),
            layer_range,
            parameters: self.parameters(per_expert, Some(expert), Some(block)),
        };
        let of_base = |model: &ModelRef| SliceSource {
            model: model.clone(),
            layer_range,
            parameters: Parameters::default(),
        };
        let sources = experts.iter().map(of_expert).chain(base_model.map(of_base)).collect();
        OutputSlice { sources, base_model: None, parameters: Parameters::default() }
    }

    fn slerp(&self) -> Recipe {
        let space = self.space();
        let (a, b) = space.pairs()[self.category(GeneKey::Pair).unwrap_or(0)];
        let models = [a, b].map(|model| self.model(model));
        let plain = |model: &ModelRef| ModelEntry {
            model: model.clone(),
            parameters: Parameters::default(),
        };
        let t = &[ParameterName::T];
        let (layout, parameters) = match space.depth {
            Depth::ControlPoints(_) => {
                (Layout::Models(models.iter().map(plain).collect()), self.parameters(t, None, None))
            }
            Depth::Blocks { .. } => {
                let slices = self.blocks().map(|(block, layer_range)| OutputSlice {
                    sources: models.iter().map(|model| whole(model, layer_range)).collect(),
                    base_model: None,
                    parameters: self.parameters(t, None, Some(block)),
                });
                (Layout::Slices(slices.collect()), Parameters::default())
            }
        };
        let [base, _] = models;
        recipe(MergeMethod::Slerp, Some(base), layout, parameters)
    }

    fn passthrough(&self) -> Recipe {
        let slices = self.blocks().map(|(block, layer_range)| {
            let owner = self.category(GeneKey::Owner { block }).unwrap_or(0);
            OutputSlice {
                sources: vec![whole(&self.model(owner), layer_range)],
                base_model: None,
                parameters: Parameters::default(),
            }
        });
        let layout = Layout::Slices(slices.collect());
        recipe(MergeMethod::Passthrough, None, layout, Parameters::default())
    }

    /// 0 is the base model, `i + 1` expert `i`.
    fn model(&self, model: usize) -> ModelRef {
        match model.checked_sub(1) {
            None => self.space().base.clone(),
            Some(expert) => self.space().experts[expert].model.clone(),
        }
    }

    fn blocks(&self) -> impl Iterator<Item = (usize, LayerRange)> + '_ {
        let layers = self.decoder.layers;
        let size = match self.space().depth {
            Depth::Blocks { layers_per_block } => layers_per_block,
            Depth::ControlPoints(_) => layers.max(1),
        };
        (0..layers.div_ceil(size)).filter_map(move |block| {
            let start = block * size;
            LayerRange::new(start, (start + size).min(layers)).map(|range| (block, range))
        })
    }

    fn parameters(
        &self,
        names: &[ParameterName],
        expert: Option<usize>,
        block: Option<usize>,
    ) -> Parameters {
        let mut parameters = Parameters::default();
        for &name in names {
            if let Some(setting) = self.setting(name, expert, block) {
                parameters.set(name.as_str(), setting);
            }
        }
        parameters
    }

    fn setting(
        &self,
        name: ParameterName,
        expert: Option<usize>,
        block: Option<usize>,
    ) -> Option<Setting> {
        let spec = self.space().parameters.get(&name)?;
        let groups = &self.space().groups;
        if !spec.per().contains(&Axis::Group) || groups.is_empty() {
            // With no named group, the axis has the one value `all`.
            let group = spec.per().contains(&Axis::Group).then_some(0);
            let place = Place { expert, group, depth: block };
            return self.along_depth(name, place).map(Setting::Everywhere);
        }
        let condition = |group: usize| {
            let place = Place { expert, group: Some(group), depth: block };
            let filter = groups.get(group).map(|group| group.filter().to_owned());
            Some(Condition { filter, value: self.along_depth(name, place)? })
        };
        (0..=groups.len()).map(condition).collect::<Option<_>>().map(Setting::Conditional)
    }

    fn along_depth(&self, name: ParameterName, place: Place) -> Option<Profile> {
        let spec = self.space().parameters.get(&name)?;
        let layered = place
            .group
            .and_then(|group| self.space().groups.get(group))
            .is_none_or(|group| TensorGroup::has_depth(*group));
        let points = match self.space().depth {
            Depth::ControlPoints(points) if spec.per().contains(&Axis::Depth) && layered => points,
            _ => 1,
        };
        if points == 1 {
            let depth = if layered { place.depth.or(Some(0)) } else { Some(0) };
            return Some(Profile::Constant(yaml(self.value(name, Place { depth, ..place })?)));
        }
        let values = (0..points)
            .map(|point| self.value(name, Place { depth: Some(point), ..place }).map(yaml))
            .collect::<Option<Vec<_>>>()?;
        Some(Profile::Gradient(values))
    }

    /// The value at `place`, whose axes that the parameter does not have are ignored.
    fn value(&self, name: ParameterName, place: Place) -> Option<Choice> {
        let spec = self.space().parameters.get(&name)?;
        let along = |axis, coordinate: Option<usize>| {
            if spec.per().contains(&axis) { coordinate } else { None }
        };
        let place = Place {
            expert: along(Axis::Expert, place.expert),
            group: along(Axis::Group, place.group),
            depth: along(Axis::Depth, place.depth),
        };
        let gene = self.decoder.index.get(&GeneKey::Parameter(name, place));
        match (spec, gene.and_then(|&i| self.genes.get(i))) {
            (ParameterSpec::Fixed(choice), _) => Some(*choice),
            (ParameterSpec::Range { .. }, Some(Gene::Real(value))) => Some(Choice::Number(*value)),
            (ParameterSpec::Steps { low, step, .. }, Some(Gene::Integer(count))) => {
                Some(Choice::Number(low + *count as f64 * step))
            }
            (ParameterSpec::Choices { choices, .. }, Some(Gene::Category(choice))) => {
                choices.get(*choice).copied()
            }
            _ => None,
        }
    }
}

/// The recipe that gives `model` back unchanged.
pub fn passthrough_of(model: &ModelRef) -> Recipe {
    let entry = ModelEntry { model: model.clone(), parameters: Parameters::default() };
    let layout = Layout::Models(vec![entry]);
    recipe(MergeMethod::Passthrough, None, layout, Parameters::default())
}

/// The plain average of the experts: the merge that everybody tries first.
pub fn uniform_average(space: &SearchSpace) -> Recipe {
    let entries = space.experts.iter().map(|expert| {
        let mut parameters = Parameters::default();
        let one = Setting::Everywhere(Profile::Constant(Value::Number(1.0)));
        parameters.set(ParameterName::Weight.as_str(), one);
        ModelEntry { model: expert.model.clone(), parameters }
    });
    let layout = Layout::Models(entries.collect());
    recipe(MergeMethod::Linear, None, layout, Parameters::default())
}

fn whole(model: &ModelRef, layer_range: LayerRange) -> SliceSource {
    SliceSource { model: model.clone(), layer_range, parameters: Parameters::default() }
}

fn recipe(
    merge_method: MergeMethod,
    base_model: Option<ModelRef>,
    layout: Layout,
    parameters: Parameters,
) -> Recipe {
    let recipe = match layout {
        Layout::Models(models) => Recipe::of_models(merge_method, models),
        Layout::Slices(slices) => Recipe::of_slices(merge_method, slices),
    };
    Recipe { base_model, parameters, dtype: Some(Dtype::F32), ..recipe }
}

fn yaml(choice: Choice) -> Value {
    match choice {
        Choice::Number(number) => Value::Number(number),
        Choice::Boolean(value) => Value::Bool(value),
    }
}
