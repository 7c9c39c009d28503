//! From a space to its list of genes.

use super::parameter::{Axis, ParameterName, ParameterSpec};
use super::{Depth, Dimension, Domain, Group, LayerRouting, SearchSpace};
use crate::recipe::{BaseUse, MergeMethod};

/// Where a value applies; `None` = everywhere along that axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Index into the experts.
    pub expert: Option<usize>,
    /// Index into the space's groups; their number stands for `rest`.
    pub group: Option<usize>,
    /// Control point or block.
    pub depth: Option<usize>,
}

/// What a gene decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GeneKey {
    /// Which merge method.
    Method,
    /// Whether an expert takes part.
    TakesPart { expert: usize },
    /// Which two models a method merges that takes a base and one other (slerp, nearswap, arcee_fusion).
    Pair,
    /// Which two experts nuslerp merges.
    ExpertPair,
    /// Which model a block of layers is taken from (passthrough).
    Owner { block: usize },
    /// What a block of layers is: merged, or taken from one model.
    Source { block: usize },
    /// Whether a block of layers stands in the output, how often and where.
    Depth { block: usize },
    /// Factor on what a block of layers adds to the residual stream.
    BlockScale { block: usize },
    /// A merge parameter's value.
    Parameter(ParameterName, Place),
    /// Whether a block of layers is a mixture of experts: dense, routed.
    Routed { block: usize },
    /// What the gates of a mixture are made of.
    GateMode,
    /// How many experts a token goes through.
    ExpertsPerToken,
    /// What the gates of a mixture are divided by.
    Temperature,
    /// Which task's prompts an expert of a mixture is for.
    ExpertTask { expert: usize },
    /// Which merge a class of documents is sent to.
    Route { class: usize },
    /// What the gate of the document router sees.
    GateFeatures,
    /// How the gate of the document router decides.
    GateKind,
    /// How a task is asked; an index into the space's prompts.
    Prompt { task: usize, part: PromptPart },
}

/// A part of how a task is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PromptPart {
    NumFewshot,
    SystemInstruction,
    DocToText,
    AnswerStyle,
    MaxGenToks,
    ApplyChatTemplate,
}

impl SearchSpace {
    /// The genes that decide what is merged, and how.
    pub(super) fn merge_genes(&self, layers: usize) -> Vec<(GeneKey, Dimension)> {
        let mut genes = Vec::new();
        if self.methods.len() > 1 {
            let choices = self.methods.iter().map(|method| method.as_str().to_owned()).collect();
            genes.push((GeneKey::Method, categorical("method".to_owned(), choices)));
        }
        if self.choose_experts {
            for (expert, entry) in self.experts.iter().enumerate() {
                let choices = vec!["in".to_owned(), "out".to_owned()];
                let dimension = categorical(format!("expert.{}", entry.name), choices);
                genes.push((GeneKey::TakesPart { expert }, dimension));
            }
        }
        let paired = self.methods.iter().any(|method| takes_pair(*method));
        if paired && !self.ranks_experts() {
            genes.extend(self.pair_gene(GeneKey::Pair, "pair", &self.pairs()));
        }
        if self.methods.contains(&MergeMethod::Nuslerp) {
            genes.extend(self.pair_gene(GeneKey::ExpertPair, "expert_pair", &self.expert_pairs()));
        }
        if self.methods.contains(&MergeMethod::Passthrough) {
            let names: Vec<_> = (0..=self.experts.len()).map(|m| self.model_name(m)).collect();
            for block in 0..self.depth_count(layers) {
                let dimension = categorical(format!("owner.{block}"), names.clone());
                genes.push((GeneKey::Owner { block }, dimension));
            }
        }
        for (name, spec) in &self.parameters {
            for place in self.places(spec.per(), layers) {
                if let Some(domain) = domain(spec) {
                    let gene = Dimension {
                        name: self.gene_name(*name, place),
                        domain,
                        initial: initial(spec),
                    };
                    genes.push((GeneKey::Parameter(*name, place), gene));
                }
            }
        }
        if let Some(routing) = &self.routing.layers {
            self.layer_genes(routing, layers, &mut genes);
        }
        genes
    }

    /// Block by block: whose, what is done with it, how strong.
    fn layer_genes(
        &self,
        routing: &LayerRouting,
        layers: usize,
        genes: &mut Vec<(GeneKey, Dimension)>,
    ) {
        let blocks = routing.blocks(layers);
        for block in 0..blocks {
            if routing.choose_source {
                let models = (0..=self.experts.len()).map(|model| self.model_name(model));
                let choices = ["merged".to_owned()].into_iter().chain(models).collect();
                let dimension = categorical(format!("source.{block}"), choices);
                genes.push((GeneKey::Source { block }, dimension));
            }
            let choices = routing.choices(block, blocks);
            if choices.len() > 1 {
                let words = choices.iter().map(|choice| choice.as_str().to_owned()).collect();
                let dimension = categorical(format!("depth.{block}"), words);
                genes.push((GeneKey::Depth { block }, dimension));
            }
            if let Some((low, high)) = routing.scale {
                let (name, domain) = (format!("scale.{block}"), Domain::Continuous { low, high });
                let dimension = Dimension { name, domain, initial: Some(1.0) };
                genes.push((GeneKey::BlockScale { block }, dimension));
            }
        }
    }

    /// Number of control points or blocks.
    pub fn depth_count(&self, layers: usize) -> usize {
        match self.depth {
            Depth::ControlPoints(points) => points,
            Depth::Blocks { layers_per_block, .. } | Depth::PointPerBlock { layers_per_block } => {
                layers.div_ceil(layers_per_block)
            }
        }
    }

    /// All pairs of models, the first of which is taken for the base: 0 is the base model, `i + 1` expert `i`.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let models = self.experts.len() + 1;
        (0..models).flat_map(|a| (a + 1..models).map(move |b| (a, b))).collect()
    }

    /// Those without the base model.
    pub fn expert_pairs(&self) -> Vec<(usize, usize)> {
        self.pairs().into_iter().filter(|(first, _)| *first > 0).collect()
    }

    /// None where there is nothing to choose.
    fn pair_gene(
        &self,
        key: GeneKey,
        name: &str,
        pairs: &[(usize, usize)],
    ) -> Option<(GeneKey, Dimension)> {
        let choice =
            |&(a, b): &(usize, usize)| format!("{}+{}", self.model_name(a), self.model_name(b));
        let choices = pairs.iter().map(choice).collect();
        (pairs.len() > 1).then(|| (key, categorical(name.to_owned(), choices)))
    }

    /// `base`, or the name of expert `model - 1`.
    pub fn model_name(&self, model: usize) -> String {
        match model.checked_sub(1) {
            None => "base".to_owned(),
            Some(expert) => self.experts[expert].name.clone(),
        }
    }

    /// The places at which a parameter with these axes has a value of its own, in order.
    fn places(&self, per: &[Axis], layers: usize) -> Vec<Place> {
        let along = |axis: Axis, count: usize| -> Vec<Option<usize>> {
            if per.contains(&axis) { (0..count).map(Some).collect() } else { vec![None] }
        };
        let mut places = Vec::new();
        for expert in along(Axis::Expert, self.experts.len()) {
            for group in along(Axis::Group, self.groups.len() + 1) {
                for depth in along(Axis::Depth, self.depth_count(layers)) {
                    // Embeddings and head stand outside the layers: one value.
                    if self.has_depth(group) || depth.is_none_or(|depth| depth == 0) {
                        places.push(Place { expert, group, depth });
                    }
                }
            }
        }
        places
    }

    fn has_depth(&self, group: Option<usize>) -> bool {
        let group = group.and_then(|group| self.groups.get(group));
        group.is_none_or(Group::has_depth)
    }

    fn gene_name(&self, name: ParameterName, place: Place) -> String {
        let mut words = vec![name.as_str().to_owned()];
        words.extend(place.expert.map(|expert| self.experts[expert].name.clone()));
        words.extend(place.group.map(|group| match self.groups.get(group) {
            Some(group) => group.as_str().to_owned(),
            None if self.groups.is_empty() => "all".to_owned(),
            None => "rest".to_owned(),
        }));
        if self.has_depth(place.group) {
            words.extend(place.depth.map(|depth| depth.to_string()));
        }
        words.join(".")
    }
}

/// Whether the method merges one model with a base.
pub fn takes_pair(method: MergeMethod) -> bool {
    method.base() == BaseUse::Required && method.count().most == 1
}

pub(super) fn categorical(name: String, choices: Vec<String>) -> Dimension {
    Dimension { name, domain: Domain::Categorical { choices }, initial: None }
}

fn domain(spec: &ParameterSpec) -> Option<Domain> {
    match spec {
        ParameterSpec::Fixed(_) => None,
        ParameterSpec::Range { low, high, .. } => {
            Some(Domain::Continuous { low: *low, high: *high })
        }
        ParameterSpec::Steps { last, .. } => Some(Domain::Integer { low: 0, high: *last }),
        ParameterSpec::Choices { choices, .. } => {
            Some(Domain::Categorical { choices: choices.iter().map(ToString::to_string).collect() })
        }
    }
}

fn initial(spec: &ParameterSpec) -> Option<f64> {
    match spec {
        ParameterSpec::Range { initial, .. } | ParameterSpec::Steps { initial, .. } => *initial,
        ParameterSpec::Fixed(_) | ParameterSpec::Choices { .. } => None,
    }
}
