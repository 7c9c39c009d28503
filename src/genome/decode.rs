//! From a genotype to the recipe it stands for. Total: every genotype of the space has a recipe.

use std::collections::BTreeMap;

use super::values::{Level, Reading};
use super::{DecoderError, Dimension, Genotype, GroupFilters, layers, passthrough_of};
use crate::recipe::{
    BaseUse, Dtype, Features, LayerRange, Layout, MergeMethod, ModelEntry, ModelRef, OutputSlice,
    Parameters, Recipe, Setting, SliceSource,
};
use crate::space::{Depth, GeneId, GeneKey, Group, SearchSpace, takes_pair};

/// A search space bound to the depth and the tensors' names of its base model.
#[derive(Debug, Clone)]
pub struct Decoder {
    pub(super) space: SearchSpace,
    pub(super) layers: usize,
    pub(super) filters: GroupFilters,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) index: BTreeMap<GeneId, usize>,
}

impl Decoder {
    /// Lists the genes of `space` for models of `layers` layers, whose tensors are named as `filters` says.
    ///
    /// # Errors
    /// Blocks that must divide the number of layers and do not; a named group or a layer that the models do not have; layers
    /// chosen, where the models' are not one stack; layers scaled, where it is not known which tensors to scale.
    pub fn new(
        space: SearchSpace,
        layers: usize,
        filters: GroupFilters,
    ) -> Result<Self, DecoderError> {
        check_blocks(space.depth, layers)?;
        check_groups(&space.groups, &filters)?;
        check_gates(&space, layers)?;
        let genes = space.genes(layers);
        let index = genes.iter().enumerate().map(|(i, (id, _))| (*id, i)).collect();
        let dimensions = genes.into_iter().map(|(_, dimension)| dimension).collect();
        let decoder = Self { space, layers, filters, dimensions, index };
        layers::check(&decoder)?;
        Ok(decoder)
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
    ///
    /// Where fewer experts take part than the method needs (model_stock: two; any other: one), the base model comes back
    /// unchanged. Candidates that score alike because they send no documents to what they differ in have one recipe.
    pub fn decode(&self, genotype: &Genotype) -> Recipe {
        Recipe { prompts: self.prompts(genotype), ..self.routed(genotype) }
    }

    /// One merge, as if all documents went there.
    pub(super) fn merge(&self, genotype: &Genotype, merge: usize) -> Recipe {
        let reading = Reading { decoder: self, genes: &genotype.0, merge };
        let mut recipe = reading.recipe();
        if let Some(seed) = reading.whole("mask_seed") {
            recipe.mask_seed = seed as u64;
        }
        recipe.tokenizer.clone_from(&self.space.tokenizer);
        let mut recipe = reading.with_layers(recipe);
        recipe.token_router = reading.token_router(&recipe);
        recipe
    }

    pub(super) fn depth_count(&self) -> usize {
        self.space.depth_count(self.layers)
    }
}

fn check_blocks(depth: Depth, layers: usize) -> Result<(), DecoderError> {
    match depth {
        Depth::Blocks { layers_per_block, must_divide: true }
        | Depth::PointPerBlock { layers_per_block }
            if !layers.is_multiple_of(layers_per_block) =>
        {
            Err(DecoderError::UnevenBlocks { layers_per_block, layers })
        }
        _ => Ok(()),
    }
}

fn check_groups(groups: &[Group], filters: &GroupFilters) -> Result<(), DecoderError> {
    let missing = groups.iter().find_map(|group| match group {
        Group::Named(group) if filters.of(*group).is_empty() => Some(group.as_str()),
        _ => None,
    });
    missing.map_or(Ok(()), |group| Err(DecoderError::NoSuchGroup { group }))
}

fn check_gates(space: &SearchSpace, layers: usize) -> Result<(), DecoderError> {
    let features = space.routing.documents.iter().flat_map(|documents| &documents.features);
    let mut seen = features.filter_map(|features| match features {
        Features::Hidden { layer, .. } => Some(*layer),
        Features::Ngrams { .. } | Features::Shape => None,
    });
    let missing = seen.find(|layer| *layer >= layers);
    missing.map_or(Ok(()), |layer| Err(DecoderError::NoSuchLayer { layer, layers }))
}

/// What one slice merges, before its parameters: 0 is the base model, `i + 1` expert `i`.
struct Parts {
    method: MergeMethod,
    members: Vec<usize>,
    base: Option<usize>,
}

impl Reading<'_> {
    fn recipe(&self) -> Recipe {
        let method = self.method();
        if method == MergeMethod::Passthrough {
            return self.passthrough();
        }
        if takes_pair(method) {
            return if self.space().ranks_experts() { self.ranked() } else { self.pair(method) };
        }
        let experts = match method {
            MergeMethod::Nuslerp => self.expert_pair(),
            _ => self.taking_part(),
        };
        if experts.len() < method.count().least.max(1) {
            return passthrough_of(&self.space().base);
        }
        // A base that a method can do without is given all the same: the experts' task vectors are what is known.
        let base = (method.base() != BaseUse::Ignored).then_some(0);
        self.merged(&Parts { method, members: experts, base })
    }

    fn method(&self) -> MergeMethod {
        self.space().methods[self.category(GeneKey::Method).unwrap_or(0)]
    }

    /// Choice 0 is `in`; without the gene all take part.
    fn taking_part(&self) -> Vec<usize> {
        (0..self.space().experts.len())
            .filter(|&expert| self.category(GeneKey::TakesPart { expert }).unwrap_or(0) == 0)
            .map(|expert| expert + 1)
            .collect()
    }

    fn expert_pair(&self) -> Vec<usize> {
        let pairs = self.space().expert_pairs();
        let chosen = pairs.get(self.category(GeneKey::ExpertPair).unwrap_or(0));
        chosen.map_or_else(Vec::new, |&(a, b)| vec![a, b])
    }

    fn pair(&self, method: MergeMethod) -> Recipe {
        let (a, b) = self.space().pairs()[self.category(GeneKey::Pair).unwrap_or(0)];
        self.merged(&Parts { method, members: vec![a, b], base: Some(a) })
    }

    fn merged(&self, parts: &Parts) -> Recipe {
        let method = parts.method;
        let layout = match self.space().depth {
            Depth::ControlPoints(_) | Depth::PointPerBlock { .. } => {
                let entry = |&model: &usize| ModelEntry {
                    model: self.model(model),
                    parameters: self.parameters(method, Level::Model(model, None)),
                };
                Layout::Models(parts.members.iter().map(entry).collect())
            }
            Depth::Blocks { .. } => {
                let slice = |(block, range)| self.merged_slice(parts, block, range);
                Layout::Slices(self.blocks().map(slice).collect())
            }
        };
        let base = parts.base.map(|base| self.model(base));
        recipe(method, base, layout, self.parameters(method, Level::Recipe))
    }

    fn merged_slice(&self, parts: &Parts, block: usize, layer_range: LayerRange) -> OutputSlice {
        let source = |&model: &usize| SliceSource {
            model: self.model(model),
            layer_range,
            parameters: self.parameters(parts.method, Level::Model(model, Some(block))),
        };
        let outside = parts.base.filter(|base| !parts.members.contains(base));
        let base = outside.map(|base| whole(&self.model(base), layer_range));
        OutputSlice {
            sources: parts.members.iter().map(source).chain(base).collect(),
            base_model: None,
            parameters: self.parameters(parts.method, Level::Block(block)),
        }
    }

    /// mergekit-evolve's slerp: per block, from the expert of greatest `t` towards the second.
    fn ranked(&self) -> Recipe {
        let slices = self.blocks().map(|(block, layer_range)| {
            let pull = |expert: usize| self.number("t", expert, block).unwrap_or(0.0);
            let mut ranks: Vec<usize> = (0..self.space().experts.len()).collect();
            // Stable: of equals the first in the file.
            ranks.sort_by(|a, b| pull(*b).total_cmp(&pull(*a)));
            let chosen: Vec<usize> = ranks.into_iter().take(2).collect();
            let gap = chosen.iter().map(|expert| pull(*expert)).reduce(|a, b| a - b);
            // The second of softmax(first, second).
            let t = 1.0 / (1.0 + gap.unwrap_or(0.0).exp());
            let models: Vec<ModelRef> =
                chosen.iter().map(|expert| self.model(expert + 1)).collect();
            OutputSlice {
                sources: models.iter().map(|model| whole(model, layer_range)).collect(),
                base_model: models.first().cloned(),
                parameters: Parameters::from([("t", Setting::from(t))]),
            }
        });
        let layout = Layout::Slices(slices.collect());
        recipe(MergeMethod::Slerp, None, layout, Parameters::default())
    }

    fn passthrough(&self) -> Recipe {
        let method = MergeMethod::Passthrough;
        let slices = self.blocks().map(|(block, layer_range)| {
            let model = self.category(GeneKey::Owner { block }).unwrap_or(0);
            let parameters = self.parameters(method, Level::Model(model, Some(block)));
            let model = self.model(model);
            OutputSlice {
                sources: vec![SliceSource { model, layer_range, parameters }],
                base_model: None,
                parameters: Parameters::default(),
            }
        });
        recipe(method, None, Layout::Slices(slices.collect()), Parameters::default())
    }

    fn model(&self, model: usize) -> ModelRef {
        match model.checked_sub(1) {
            None => self.space().base.clone(),
            Some(expert) => self.space().experts[expert].model.clone(),
        }
    }

    fn blocks(&self) -> impl Iterator<Item = (usize, LayerRange)> + '_ {
        let layers = self.decoder.layers;
        let size = match self.space().depth {
            Depth::Blocks { layers_per_block, .. } => layers_per_block,
            Depth::ControlPoints(_) | Depth::PointPerBlock { .. } => layers.max(1),
        };
        (0..layers.div_ceil(size)).filter_map(move |block| {
            let start = block * size;
            LayerRange::new(start, (start + size).min(layers)).map(|range| (block, range))
        })
    }
}

fn whole(model: &ModelRef, layer_range: LayerRange) -> SliceSource {
    SliceSource { model: model.clone(), layer_range, parameters: Parameters::default() }
}

pub(super) fn recipe(
    merge_method: MergeMethod,
    base_model: Option<ModelRef>,
    layout: Layout,
    parameters: Parameters,
) -> Recipe {
    let empty = Recipe::of_models(merge_method, Vec::new());
    Recipe { base_model, layout, parameters, dtype: Some(Dtype::F32), ..empty }
}
