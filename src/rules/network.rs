//! What is evaluated, as far as configs and sizes of files tell.

use super::graph::Graph;
use super::models::{ModelFacts, RepositoryFacts};
use crate::model::NetworkSpec;
use crate::target::{Device, Estimate, Merge, Scale, Weights, Work};
use crate::units::Bytes;

/// A merged network, and what it is merged from.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Of the base model.
    pub spec: NetworkSpec,
    /// Where that was read.
    pub config: String,
    /// The base model and the experts.
    pub checkpoints: u64,
    /// Size of all their files, adapters included.
    pub stored: Bytes,
    /// Where that was read.
    pub stored_from: String,
    /// Layers that a document router reads prompts with.
    pub router_layers: usize,
    /// The smallest candidate against the base model, and the largest; of a winner both are its own.
    pub scales: [Scale; 2],
    /// What the scales were read from.
    pub scales_from: String,
    /// What the exported class holds weights in; `None`: not decided yet.
    pub weights: Option<Weights>,
}

impl Network {
    /// Of the base model, the first of `models`; why not, where its config.json is not known or cannot be used.
    ///
    /// # Errors
    /// As text for a finding's evidence.
    pub fn new(
        models: &[ModelFacts],
        graph: &Graph,
        weights: Option<Weights>,
    ) -> Result<Network, String> {
        let base = models.first().ok_or("no model is named")?;
        let id = base.model.reference();
        let config = base.model.config.as_ref();
        let config = config.ok_or_else(|| format!("no config.json of {id} is at hand"))?;
        let spec = NetworkSpec::from_config_alone(&config.value)
            .map_err(|error| format!("{}: {error}", config.place))?;
        let (scales, scales_from) = graph.scales(&spec);
        let (stored, stored_from) = stored(models, &spec);
        Ok(Network {
            config: config.place.clone(),
            checkpoints: models.len() as u64,
            stored,
            stored_from,
            router_layers: graph.router_layers(),
            scales,
            scales_from,
            weights,
            spec,
        })
    }

    /// Whether candidates differ in size or work.
    pub fn varies(&self) -> bool {
        self.scales[0] != self.scales[1]
    }

    /// Merging and then doing all of `work`, at one of the scales.
    pub fn estimate(
        &self,
        device: &'static Device,
        weights: Weights,
        scale: Scale,
        work: &[Work],
    ) -> Estimate {
        let merge = Merge {
            spec: &self.spec,
            checkpoints: self.checkpoints,
            stored: self.stored,
            router_layers: self.router_layers,
            scale,
        };
        Estimate::new(device, weights, &merge, work)
    }

    /// Merged weights at one of the scales.
    pub fn merged_bytes(&self, weights: Weights, scale: Scale) -> Bytes {
        Bytes((self.spec.weight_bytes(weights.size()) as f64 * scale.weights) as u64)
    }

    /// Of what grows with the merged weights: for the largest candidate in the precision that is decided, or else in float32;
    /// and for the smallest, in bfloat16 where nothing is decided.
    pub fn extremes(&self, needed: impl Fn(Weights, Scale) -> Bytes) -> [Bytes; 2] {
        let [least, most] = self.scales;
        let of = |weights, scale| needed(self.weights.unwrap_or(weights), scale);
        [of(Weights::F32, most), of(Weights::Bf16, least)]
    }

    /// In float32, which every tensor is merged in.
    pub fn largest_tensor(&self) -> Bytes {
        let elements = |(_, shape): (&str, &[usize])| {
            shape.iter().fold(4u64, |all, &length| all.saturating_mul(length as u64))
        };
        Bytes(self.spec.tensors().map(elements).max().unwrap_or(0))
    }
}

/// Each repository's files once; where their size is not known, as many elements as the base model has, of two bytes.
fn stored(models: &[ModelFacts], spec: &NetworkSpec) -> (Bytes, String) {
    let own = |facts: &ModelFacts| [Some(facts.model.clone()), facts.adapter.clone()];
    let mut all: Vec<(RepositoryFacts, bool)> = Vec::new();
    for facts in models {
        for (repository, is_adapter) in own(facts).into_iter().zip([false, true]) {
            let Some(repository) = repository else { continue };
            if !all.iter().any(|(known, _)| known.reference() == repository.reference()) {
                all.push((repository, is_adapter));
            }
        }
    }
    let guess = spec.weight_bytes(2);
    let (mut bytes, mut guessed) = (0u64, Vec::new());
    for (repository, is_adapter) in &all {
        match &repository.bytes {
            Some(told) => bytes = bytes.saturating_add(told.value),
            None if *is_adapter => guessed.push(format!("{} not counted", repository.id)),
            None => {
                bytes = bytes.saturating_add(guess);
                guessed.push(format!("{} taken as {}", repository.id, Bytes(guess)));
            }
        }
    }
    let from = match guessed.is_empty() {
        true => "sizes of the weight files".to_owned(),
        false => guessed.join(", "),
    };
    (Bytes(bytes), from)
}
