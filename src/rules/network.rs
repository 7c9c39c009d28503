//! What is evaluated, as far as configs and sizes of files tell.

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

    /// Merged weights of the largest candidate.
    pub fn merged_bytes(&self, weights: Weights) -> Bytes {
        let scale = self.scales[0].weights.max(self.scales[1].weights);
        Bytes((self.spec.weight_bytes(weights.size()) as f64 * scale) as u64)
    }

    /// In float32, which every tensor is merged in.
    pub fn largest_tensor(&self) -> Bytes {
        let elements = |(_, shape): (&str, &[usize])| {
            shape.iter().fold(4u64, |all, &length| all.saturating_mul(length as u64))
        };
        Bytes(self.spec.tensors().map(elements).max().unwrap_or(0))
    }
}
