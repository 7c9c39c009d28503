//! Which weights several merges have in common, and with the base model.

use std::collections::BTreeMap;

use crate::evaluate::fingerprint::{Fingerprint, fingerprint};
use crate::merge::{Input, MergePlan, Operation, PlannedTensor};
use crate::model::spec::NetworkSpec;
use crate::model::{Depth, Network, Precision};
use crate::units::Bytes;

/// Where the base model stands among the models that plans are made with.
const BASE: usize = 0;

/// The tensor of a checkpoint that is taken as it is; `None` where something is computed.
fn copied<'a>(plan: &MergePlan, tensor: &'a PlannedTensor) -> Option<&'a Input> {
    if plan.vocabulary().is_some() {
        return None;
    }
    match &tensor.operation {
        Operation::KeepBase => tensor.base.as_ref(),
        Operation::Take { input } => tensor.inputs.get(*input),
        Operation::Passthrough { scale } if *scale == 1.0 => tensor.inputs.first(),
        Operation::TaskVectors(own) if own.weights.iter().all(|weight| *weight == 0.0) => {
            tensor.base.as_ref()
        }
        _ => None,
    }
}

/// Whether a merge's embedding and first `layers` layers are the base model's, so that it can go on from the base model's
/// states.
pub(in crate::evaluate) fn begins_as_base(plan: &MergePlan, base: &Network, layers: usize) -> bool {
    let planned: BTreeMap<&str, &PlannedTensor> =
        plan.tensors().iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let is_base = |name: &str| {
        let input = planned.get(name).and_then(|tensor| copied(plan, tensor));
        input.is_some_and(|input| input.model == BASE && input.tensor == name)
    };
    first_layers(base, layers).all(|(name, _)| is_base(name))
}

fn first_layers(base: &Network, layers: usize) -> impl Iterator<Item = (&str, &[usize])> {
    base.tensors().filter(move |(name, _)| base.depth(name) < Some(Depth::Layer(layers)))
}

/// Different tensors of several models by what they are made of, with their elements.
#[derive(Default)]
pub(in crate::evaluate) struct Weights(BTreeMap<Fingerprint, usize>);

impl Weights {
    /// Those of a merge that a network of `spec` uses.
    pub fn add(&mut self, plan: &MergePlan, spec: &NetworkSpec) {
        let used: std::collections::BTreeSet<&str> = spec.tensors().map(|(name, _)| name).collect();
        for tensor in plan.tensors().iter().filter(|tensor| used.contains(tensor.name.as_str())) {
            let key = match copied(plan, tensor) {
                Some(input) => fingerprint(input),
                // The same tensor in another layer is the same memory.
                None => {
                    let mut nameless = tensor.clone();
                    nameless.name.clear();
                    fingerprint(&nameless)
                }
            };
            self.0.insert(key, tensor.elements());
        }
    }

    /// What the base model's first layers need.
    pub fn add_first_layers(&mut self, base: &Network, layers: usize) {
        for (name, shape) in first_layers(base, layers) {
            let input = Input { model: BASE, tensor: name.to_owned() };
            self.0.insert(fingerprint(&input), shape.iter().product());
        }
    }

    /// Memory of all of them.
    pub fn bytes(&self, precision: Precision) -> Bytes {
        let each = match precision {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
        };
        Bytes(self.0.values().map(|elements| *elements as u64 * each).sum())
    }
}
