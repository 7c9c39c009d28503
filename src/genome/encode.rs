//! From a recipe to the genotype that stands for it, or for the nearest that the space has: [`Decoder::decode`] backwards.

use std::ops::Range;

use super::account::{Account, Position};
use super::probe::Probe;
use super::{Decoder, Difference, Dimension, Domain, EncodeError, Gene, Genotype};
use crate::recipe::{MergeMethod, ModelRef, Recipe, RescaleRule, Scope};
use crate::space::{Axis, Depth, GeneId, GeneKey, ParameterName, ParameterSpec, Place};

/// Two values that differ less, relative to their size or to 1, are one value.
pub(super) const SAME: f64 = 1e-9;

impl Decoder {
    /// The genotype whose recipe is `recipe`, in this sense: the same models are merged by the same method, with the same
    /// value of every parameter in every layer, and documents and tokens go the same ways. Genes that the recipe says
    /// nothing of are at their start: so are, of a recipe without routers, the routes, and mixtures of experts that the
    /// space always has. All merges of such a recipe are equal.
    ///
    /// # Errors
    /// No genotype of the space has that recipe.
    pub fn encode(&self, recipe: &Recipe) -> Result<Genotype, EncodeError> {
        match self.nearest(recipe)? {
            (genotype, None) => Ok(genotype),
            (_, Some(difference)) => Err(EncodeError::Differs(difference)),
        }
    }

    /// As [`Decoder::encode`], but where a gene stands for several values of the recipe (tied layers, experts or groups) it
    /// has their mean, and the largest difference is returned beside the genotype.
    ///
    /// # Errors
    /// Another method, other models, a value outside its gene's range, a parameter that is not set and has no default;
    /// routers or prompts that the space does not have.
    pub fn nearest(&self, recipe: &Recipe) -> Result<(Genotype, Option<Difference>), EncodeError> {
        let (mut genotype, mut difference) = (self.start(), None);
        for (number, merge) in self.merges_of(recipe)?.iter().enumerate() {
            let found = self.set_merge(&mut genotype, number, merge)?;
            let farther = |a: &Difference, b: &Difference| a.gap().total_cmp(&b.gap());
            difference = difference.into_iter().chain(found).max_by(farther);
        }
        let shared = self.document_genes(recipe)?.into_iter().chain(self.prompt_genes(recipe)?);
        shared.for_each(|(key, gene)| self.set(&mut genotype, 0, key, gene));
        Ok((genotype, difference))
    }

    /// Sets the genes of one merge, and returns in what its recipe differs most.
    fn set_merge(
        &self,
        genotype: &mut Genotype,
        number: usize,
        merge: &Recipe,
    ) -> Result<Option<Difference>, EncodeError> {
        let mixtures = self.token_genes(merge)?;
        let (found, difference) = self.with_layers(genotype, number, merge)?;
        *genotype = found;
        mixtures.into_iter().for_each(|(key, gene)| self.set(genotype, number, key, gene));
        Ok(difference)
    }

    /// The genotype with what a merge has without mixtures of experts, its layers in their places or elsewhere.
    fn with_layers(
        &self,
        genotype: &Genotype,
        number: usize,
        merge: &Recipe,
    ) -> Result<(Genotype, Option<Difference>), EncodeError> {
        let plain = self.with_plain(genotype, number, merge);
        match (&self.space.routing.layers, &plain) {
            (None, _) | (_, Ok((_, None))) => plain,
            (Some(routing), _) => match (self.unlaid(merge, routing, genotype, number), &plain) {
                (Ok(genotype), _) => Ok((genotype, None)),
                (Err(error), Err(other)) if other.is_about_layers() => Err(error),
                _ => plain,
            },
        }
    }

    /// As [`Decoder::with_layers`], all layers in their places.
    pub(super) fn with_plain(
        &self,
        genotype: &Genotype,
        number: usize,
        merge: &Recipe,
    ) -> Result<(Genotype, Option<Difference>), EncodeError> {
        let mut found = genotype.clone();
        let expressible = self.space.methods.contains(&merge.merge_method);
        let parent = if expressible { None } else { self.parent_of(merge) };
        let Some(parent) = parent else {
            let difference = self.set_weights(&mut found, number, merge)?;
            return Ok((found, difference));
        };
        for (_, &place) in self.genes_of(number) {
            parent.0.get(place).into_iter().for_each(|gene| put(&mut found, place, *gene));
        }
        Ok((found, None))
    }

    /// Sets what a merge has without mixtures of experts, all layers in their places.
    fn set_weights(
        &self,
        genotype: &mut Genotype,
        number: usize,
        merge: &Recipe,
    ) -> Result<Option<Difference>, EncodeError> {
        self.check_constants(merge)?;
        let account = Account::new(merge, self.layers)?;
        let structure = self.structure(&account)?;
        let probes = self.probes();
        for (id, &place) in self.genes_of(number) {
            let name = self.dimensions.get(place).map_or("", |gene| &gene.name);
            let gene = match (id.key, structure.get(&id.key)) {
                (_, Some(choice)) => Some(Gene::Category(*choice)),
                (GeneKey::Parameter(parameter, at), None) => {
                    self.parameter_gene(&account, parameter, at, &probes, name)?
                }
                _ => None,
            };
            gene.into_iter().for_each(|gene| put(genotype, place, gene));
        }
        self.farthest(&account, &self.merge(genotype, number))
    }

    /// Ids and places.
    fn genes_of(&self, merge: usize) -> impl Iterator<Item = (&GeneId, &usize)> {
        self.index.iter().filter(move |(id, _)| id.merge == merge)
    }

    /// Sets a gene, where the space has it.
    pub(super) fn set(&self, genotype: &mut Genotype, merge: usize, key: GeneKey, gene: Gene) {
        if let Some(place) = self.index.get(&GeneId { merge, key }) {
            put(genotype, *place, gene);
        }
    }

    /// Every gene at its start: the dimension's, or else the middle; the first choice.
    pub fn start(&self) -> Genotype {
        Genotype(self.dimensions.iter().map(start).collect())
    }

    fn check_constants(&self, recipe: &Recipe) -> Result<(), EncodeError> {
        if recipe.merge_method == MergeMethod::Slerp && self.space.ranks_experts() {
            return Err(EncodeError::Ranked);
        }
        if recipe.merge_method.is_random() && recipe.rescale_by != RescaleRule::default() {
            let valid = "the default".to_owned();
            return Err(EncodeError::Constant { key: "parameters.rescale_by", valid });
        }
        if recipe.tokenizer.is_some() && recipe.tokenizer != self.space.tokenizer {
            let valid = "the tokenizer of the base model".to_owned();
            return Err(EncodeError::Constant { key: "tokenizer", valid });
        }
        Ok(())
    }

    /// `None` where the recipe does not depend on the gene.
    fn parameter_gene(
        &self,
        account: &Account<'_>,
        name: ParameterName,
        place: Place,
        probes: &[Probe],
        gene: &str,
    ) -> Result<Option<Gene>, EncodeError> {
        let method = account.method();
        let (true, Some(spec)) = (name.is_used_by(method), self.space.parameters.get(&name)) else {
            return Ok(None);
        };
        let word = name.as_str();
        let values = match method.parameter(word) {
            None => vec![account.recipe.mask_seed as f64],
            Some(parameter) => {
                let mut values = Vec::new();
                for model in self.models_of(parameter.scope, method, place.expert) {
                    for (probe, position) in self.positions(account, spec, place, probes) {
                        let value = account.number(parameter, model, &probe.tensor, position)?;
                        values.extend(value.or(self.absent(model, word)));
                    }
                }
                values
            }
        };
        middle(&values).map(|value| gene_of(spec, value, word, gene)).transpose()
    }

    /// What an expert that is not merged counts for, where no gene leaves it out.
    pub(super) fn absent(&self, model: Option<&ModelRef>, word: &str) -> Option<f64> {
        (model.is_some() && word == "weight" && !self.space.choose_experts).then_some(0.0)
    }

    /// The models whose value a gene stands for; one `None` for a value that all share.
    pub(super) fn models_of(
        &self,
        scope: Scope,
        method: MergeMethod,
        expert: Option<usize>,
    ) -> Vec<Option<&ModelRef>> {
        let experts = self.space.experts.iter().enumerate();
        let of_gene = experts.filter(|(index, _)| expert.is_none_or(|only| only == *index));
        let models = of_gene.map(|(_, expert)| Some(&expert.model));
        match scope {
            Scope::Shared => vec![None],
            Scope::PerModel if method == MergeMethod::Passthrough && expert.is_none() => {
                models.chain([Some(&self.space.base)]).collect()
            }
            Scope::PerModel => models.collect(),
        }
    }

    /// Where a gene at `place` has an effect.
    fn positions<'p>(
        &self,
        account: &Account<'_>,
        spec: &ParameterSpec,
        place: Place,
        probes: &'p [Probe],
    ) -> Vec<(&'p Probe, Position)> {
        let grouped = spec.per().contains(&Axis::Group);
        // Tensors outside the layers have a gene of the depth axis only where it is their group's own.
        let mine = |probe: &&Probe| match grouped {
            true => place.group.is_none_or(|own| own == probe.group),
            false => probe.layered || place.depth.is_none(),
        };
        let at = |probe: &'p Probe| {
            let positions = match (self.space.depth, place.depth) {
                _ if !probe.layered => account.outside(),
                (Depth::Blocks { .. }, Some(block)) => {
                    let mut blocks = self.block_ranges();
                    let layers = blocks.find(|(index, _)| *index == block).map(|(_, range)| range);
                    layers.into_iter().flatten().map(Position::Layer).collect()
                }
                (_, Some(point)) if self.depth_count() > 1 => {
                    vec![Position::Point(point, self.depth_count())]
                }
                _ => (0..self.layers).map(Position::Layer).collect(),
            };
            positions.into_iter().map(move |position| (probe, position))
        };
        probes.iter().filter(mine).flat_map(at).collect()
    }

    /// Layers of each block; one block where the depth has none.
    pub(super) fn block_ranges(&self) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let layers = self.layers;
        let size = match self.space.depth {
            Depth::Blocks { layers_per_block, .. } => layers_per_block,
            Depth::ControlPoints(_) | Depth::PointPerBlock { .. } => layers.max(1),
        };
        (0..layers.div_ceil(size)).map(move |b| (b, b * size..((b + 1) * size).min(layers)))
    }
}

fn put(genotype: &mut Genotype, place: usize, gene: Gene) {
    if let Some(old) = genotype.0.get_mut(place) {
        *old = gene;
    }
}

/// The mean; exactly the value where there is but one.
fn middle(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    if values.iter().all(|value| *value == first) {
        return Some(first);
    }
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

fn gene_of(
    spec: &ParameterSpec,
    value: f64,
    word: &'static str,
    gene: &str,
) -> Result<Gene, EncodeError> {
    let outside = |low: f64, high: f64| EncodeError::OutOfRange {
        parameter: word,
        gene: gene.to_owned(),
        value,
        low,
        high,
    };
    let near = SAME * value.abs().max(1.0);
    let within = |low: f64, high: f64| low - near <= value && value <= high + near;
    match spec {
        ParameterSpec::Range { low, high, .. } if within(*low, *high) => {
            Ok(Gene::Real(value.clamp(*low, *high)))
        }
        ParameterSpec::Range { low, high, .. } => Err(outside(*low, *high)),
        ParameterSpec::Steps { low, step, last, .. } => {
            let high = low + *last as f64 * step;
            if !within(*low, high) {
                return Err(outside(*low, high));
            }
            Ok(Gene::Integer((((value - low) / step).round() as i64).clamp(0, *last)))
        }
        ParameterSpec::Choices { choices, .. } => {
            let gap = |choice: &crate::space::Choice| (choice.as_number() - value).abs();
            let by_gap = |a: &usize, b: &usize| gap(&choices[*a]).total_cmp(&gap(&choices[*b]));
            let nearest = (0..choices.len()).min_by(by_gap);
            nearest.map(Gene::Category).ok_or_else(|| outside(0.0, 0.0))
        }
        // No gene is made of a fixed value.
        ParameterSpec::Fixed(choice) => Err(outside(choice.as_number(), choice.as_number())),
    }
}

fn start(dimension: &Dimension) -> Gene {
    match &dimension.domain {
        Domain::Continuous { low, high } => {
            Gene::Real(dimension.initial.unwrap_or(0.5 * low + 0.5 * high))
        }
        Domain::Integer { low, high } => {
            let initial = dimension.initial.unwrap_or(0.5 * (*low as f64) + 0.5 * (*high as f64));
            Gene::Integer((initial.round() as i64).clamp(*low, *high))
        }
        Domain::Categorical { .. } => Gene::Category(0),
    }
}
