//! What a candidate is made of, as numbers that can be compared with those of earlier candidates.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use crate::merge::{MergePlan, PlannedTensor};
use crate::model::{Depth, Network};

/// Half of a SHA-256: equal for equal contents, and for others with a probability that can be neglected.
pub(super) type Fingerprint = u128;

/// Fingerprints of a plan's tensors.
pub(super) struct PlanFingerprints<'a> {
    tensors: Vec<(&'a str, Fingerprint)>,
    config: Fingerprint,
}

struct Hash(Sha256);

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl Hash {
    fn new() -> Self {
        Hash(Sha256::new())
    }

    fn add(mut self, part: Fingerprint) -> Self {
        self.0.update(part.to_le_bytes());
        self
    }

    fn finish(self) -> Fingerprint {
        let digest = self.0.finalize();
        digest.iter().take(16).fold(0, |number, byte| number << 8 | Fingerprint::from(*byte))
    }
}

/// Of a value of plain fields. Rust's debug form has every field, texts in quotation marks and numbers so that they can be
/// read back, so two values have the same form only if they are equal.
pub(super) fn fingerprint(value: &impl fmt::Debug) -> Fingerprint {
    let mut hash = Hash::new();
    // Writing to a hash cannot fail.
    let _always_ok = write!(hash, "{value:?}");
    hash.finish()
}

impl<'a> PlanFingerprints<'a> {
    /// `config`: the merged model's.
    pub fn new(plan: &'a MergePlan, config: &serde_json::Value) -> Self {
        let of = |tensor: &'a PlannedTensor| (tensor.name.as_str(), fingerprint(tensor));
        let mut hash = Hash::new();
        let _always_ok = write!(hash, "{config}");
        PlanFingerprints { tensors: plan.tensors().iter().map(of).collect(), config: hash.finish() }
    }

    /// Of the whole model.
    pub fn whole(&self) -> Fingerprint {
        let tensors = self.tensors.iter().map(|(_, tensor)| *tensor);
        tensors.fold(Hash::new().add(self.config), Hash::add).finish()
    }

    /// Entry `d` is of everything that decides what layer `d` of the decoder reads.
    pub fn layer_inputs(&self, network: &Network) -> Vec<Fingerprint> {
        let layers = network.spec().decoder.as_ref().map_or(0, |stack| stack.layers.len());
        let mut by_depth: BTreeMap<Depth, Vec<Fingerprint>> = BTreeMap::new();
        for (name, tensor) in &self.tensors {
            // What the network has no use for decides nothing.
            if let Some(depth) = network.depth(name) {
                by_depth.entry(depth).or_default().push(*tensor);
            }
        }
        let after = |so_far: Fingerprint, depth: Depth| {
            let own = by_depth.get(&depth).into_iter().flatten().copied();
            own.fold(Hash::new().add(so_far), Hash::add).finish()
        };
        let mut inputs = vec![after(self.config, Depth::Before)];
        for layer in 0..layers.saturating_sub(1) {
            inputs.push(after(inputs[layer], Depth::Layer(layer)));
        }
        inputs
    }
}
