//! Which weights several merges have in common, and with the base model.

use std::collections::{BTreeMap, BTreeSet};

use crate::evaluate::fingerprint::{Fingerprint, fingerprint};
use crate::merge::{Input, MergePlan, Operation, PlannedTensor};
use crate::model::spec::NetworkSpec;
use crate::model::{Depth, Network};

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

fn first_layers(base: &Network, layers: usize) -> impl Iterator<Item = (&str, &[usize])> {
    base.tensors().filter(move |(name, _)| base.depth(name) < Some(Depth::Layer(layers)))
}

/// What a tensor is made of: equal for tensors of equal merges, in whichever layers they are; where masks are drawn, which
/// depend on the tensor's name, only in the same one. Plans made with the same models.
pub(in crate::evaluate) fn made_of(plan: &MergePlan, tensor: &PlannedTensor) -> Fingerprint {
    match copied(plan, tensor) {
        Some(input) => fingerprint(input),
        None if tensor.operation.draws_masks() => fingerprint(tensor),
        None => {
            let mut nameless = tensor.clone();
            nameless.name.clear();
            fingerprint(&nameless)
        }
    }
}

/// [`made_of`] of a tensor of the base model.
pub(super) fn of_base(tensor: &str) -> Fingerprint {
    fingerprint(&Input { model: BASE, tensor: tensor.to_owned() })
}

/// Different matrices of several models with their elements; vectors are nothing beside them.
#[derive(Default)]
pub(in crate::evaluate) struct Weights(BTreeMap<Fingerprint, usize>);

impl Weights {
    /// Those of a merge that a network of `spec` uses; gives their elements, whether they are known already or not.
    pub fn add(&mut self, plan: &MergePlan, spec: &NetworkSpec) -> usize {
        let used: BTreeSet<&str> = spec.tensors().map(|(name, _)| name).collect();
        let is_used =
            |tensor: &&PlannedTensor| used.contains(tensor.name.as_str()) && tensor.shape.len() > 1;
        let mut all = 0;
        for tensor in plan.tensors().iter().filter(is_used) {
            all += tensor.elements();
            self.0.insert(made_of(plan, tensor), tensor.elements());
        }
        all
    }

    /// What the base model's first layers need.
    pub fn add_first_layers(&mut self, base: &Network, layers: usize) {
        for (name, shape) in first_layers(base, layers).filter(|(_, shape)| shape.len() > 1) {
            self.0.insert(of_base(name), shape.iter().product());
        }
    }

    /// Of all of them.
    pub fn elements(&self) -> usize {
        self.0.values().sum()
    }
}
