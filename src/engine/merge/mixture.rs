//! Layers with several feed-forward blocks: the names and the sources of their tensors.
//!
//! Tensors are called as Mixtral's (Jiang et al. 2024, arXiv:2401.04088), whether all layers are routed or some.

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::recipe::{ModelRef, Recipe, TokenRouter};

use super::planner::Planner;
use super::{Given, Input, LayerGates, MergeError, Operation, PlannedTensor};

/// Families whose layers are a Mixtral's but for the feed-forward block.
const FAMILIES: [&str; 2] = ["llama", "mistral"];

/// The parts of a dense block, and what Mixtral calls them in each of its experts.
const PARTS: [(&str, &str); 3] =
    [("gate_proj.weight", GATE), ("up_proj.weight", "w3"), ("down_proj.weight", "w2")];
const GATE: &str = "w1";

/// A token router that has been checked against its models.
pub(super) struct Mixture<'r> {
    router: &'r TokenRouter,
    gates: &'r LayerGates,
    /// Of each expert, its index into the models given.
    pub(super) experts: Vec<usize>,
}

/// What a mixture changes in `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Routed {
    pub(super) layers: Vec<usize>,
    pub(super) experts: usize,
    pub(super) experts_per_token: usize,
}

/// A dense block's tensor, taken apart.
pub(super) struct DensePart<'n> {
    /// Of the layer, with its dot.
    prefix: &'n str,
    /// Mixtral's word.
    part: &'static str,
}

/// The token router of a recipe, unless it routes no layer.
pub fn token_router(recipe: &Recipe) -> Option<&TokenRouter> {
    recipe.token_router.as_ref().filter(|router| !router.layers.is_empty())
}

impl<'r> Mixture<'r> {
    /// Checks all but the number of layers.
    pub(super) fn new(
        router: &'r TokenRouter,
        gates: &'r LayerGates,
        models: &[(ModelRef, &Checkpoint)],
        reference: usize,
    ) -> Result<Mixture<'r>, MergeError> {
        let checkpoint = models[reference].1;
        require_family(&models[reference].0, checkpoint)?;
        require_numbers(router)?;
        let found = |expert: &ModelRef| models.iter().position(|(known, _)| known == expert);
        let expert = |source: &ModelRef| {
            found(source).ok_or_else(|| MergeError::UnknownModel {
                model: source.clone(),
                known: models
                    .iter()
                    .map(|(known, _)| known.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
        };
        let experts = router.experts.iter().map(|one| expert(&one.source_model));
        let experts = experts.collect::<Result<Vec<_>, _>>()?;
        if gates.experts() != experts.len() {
            let found = format!("for {} experts of {}", gates.experts(), experts.len());
            return Err(MergeError::Prototypes { found });
        }
        Ok(Mixture { router, gates, experts })
    }

    pub(super) fn routes(&self, layer: usize) -> bool {
        self.router.layers.contains(&layer)
    }

    /// Of the output with `layers` layers.
    pub(super) fn routed(&self, layers: usize) -> Result<Routed, MergeError> {
        if let Some(&layer) = self.router.layers.iter().find(|layer| **layer >= layers) {
            return Err(MergeError::RoutedLayer { layer, layers });
        }
        Ok(Routed {
            layers: self.router.layers.clone(),
            experts: self.experts.len(),
            experts_per_token: self.router.experts_per_token,
        })
    }

    /// The gates that stand in for those of a layer of the base model, at the router's temperature; shape and values.
    pub(super) fn gate(&self, layer: usize) -> Result<(Vec<usize>, Operation), MergeError> {
        let missing = || MergeError::Prototypes { found: format!("layer {layer} has none") };
        let gates = self.gates.layer(layer).ok_or_else(missing)?;
        let scaled = gates.iter().map(|gate| (f64::from(*gate) / self.router.temperature) as f32);
        let shape = vec![self.gates.experts(), self.gates.hidden()];
        Ok((shape, Operation::Given(Given::new(scaled.collect()))))
    }
}

/// `None`: no tensor of a feed-forward block.
pub(super) fn dense_part(name: &str) -> Option<Result<DensePart<'_>, MergeError>> {
    let place = name.find("mlp.").filter(|place| *place == 0 || name[..*place].ends_with('.'))?;
    let (prefix, own) = (&name[..place], &name[place + "mlp.".len()..]);
    let known = PARTS.iter().find(|(dense, _)| *dense == own);
    let unknown = || MergeError::NotInMixture {
        found: format!("tensor `{name}`"),
        valid: "feed-forward blocks of gate_proj, up_proj and down_proj without biases".to_owned(),
    };
    Some(known.map(|(_, part)| DensePart { prefix, part }).ok_or_else(unknown))
}

impl DensePart<'_> {
    /// The same of one of several blocks.
    pub(super) fn of_expert(&self, expert: usize) -> String {
        format!("{}block_sparse_moe.experts.{expert}.{}.weight", self.prefix, self.part)
    }

    /// The gate's name, from one of the block's tensors.
    pub(super) fn gate(&self) -> Option<String> {
        (self.part == GATE).then(|| format!("{}block_sparse_moe.gate.weight", self.prefix))
    }
}

impl Planner<'_, '_> {
    /// What stands in a routed layer in place of what the merge would have: the experts' own tensors, taken from layer
    /// `layer` of their models, for those of the feed-forward block.
    pub(super) fn routed(
        &self,
        mixture: &Mixture,
        planned: Option<PlannedTensor>,
        layer: usize,
    ) -> Result<Vec<PlannedTensor>, MergeError> {
        let Some(dense) = planned else { return Ok(Vec::new()) };
        let Some(part) = dense_part(&dense.name).transpose()? else { return Ok(vec![dense]) };
        let scale = match dense.operation {
            Operation::Passthrough { scale } => scale,
            _ => 1.0,
        };
        let mut tensors = Vec::new();
        if let Some(name) = part.gate() {
            let (shape, operation) = mixture.gate(layer)?;
            let (base, inputs, tokens) = (None, Vec::new(), None);
            tensors.push(PlannedTensor { name, shape, base, inputs, operation, tokens });
        }
        let source = self.models[self.reference].1.architecture().in_layer(&dense.name, layer);
        for (expert, &model) in mixture.experts.iter().enumerate() {
            let input = self.expert_input(&dense, model, &source)?;
            tensors.push(PlannedTensor {
                name: part.of_expert(expert),
                shape: dense.shape.clone(),
                base: None,
                inputs: vec![input],
                operation: Operation::Passthrough { scale },
                tokens: None,
            });
        }
        Ok(tensors)
    }

    /// An expert's own tensor, of the dense one's shape.
    fn expert_input(
        &self,
        dense: &PlannedTensor,
        model: usize,
        source: &str,
    ) -> Result<Input, MergeError> {
        let missing = || CheckpointError::NoTensor {
            dir: self.models[model].1.dir().to_owned(),
            tensor: source.to_owned(),
        };
        let input = self.input(model, source)?.ok_or_else(missing)?;
        match dense.base.iter().chain(&dense.inputs).next() {
            Some(other) if self.shape_of(&input)? != dense.shape => {
                Err(self.shapes_differ(&dense.name, other, &input))
            }
            _ => Ok(input),
        }
    }
}

fn require_family(model: &ModelRef, checkpoint: &Checkpoint) -> Result<(), MergeError> {
    let family = checkpoint.architecture().family();
    if !FAMILIES.contains(&family) {
        let found = format!("`{model}` ({family})");
        return Err(MergeError::NotInMixture { found, valid: FAMILIES.join(", ") });
    }
    let is_set = |key: &&&str| checkpoint.config().get(**key).is_some_and(|flag| flag == true);
    match ["attention_bias", "mlp_bias"].iter().find(is_set) {
        Some(key) => Err(MergeError::NotInMixture {
            found: format!("`{key}` = true in the config of `{model}`"),
            valid: "models without biases, as Mixtral has none".to_owned(),
        }),
        None => Ok(()),
    }
}

fn require_numbers(router: &TokenRouter) -> Result<(), MergeError> {
    let (experts, top) = (router.experts.len(), router.experts_per_token);
    let wrong = |key: &'static str, found: String, valid: String| {
        Err(MergeError::TokenRouter { key, found, valid })
    };
    if top == 0 || top > experts {
        return wrong("experts_per_token", top.to_string(), format!("1 to {experts}, the experts"));
    }
    if !(router.temperature > 0.0 && router.temperature.is_finite()) {
        let valid = "a number above 0".to_owned();
        return wrong("temperature", router.temperature.to_string(), valid);
    }
    if !router.layers.is_sorted_by(|a, b| a < b) {
        let valid = "different layers, ascending".to_owned();
        return wrong("layers", format!("{:?}", router.layers), valid);
    }
    Ok(())
}
