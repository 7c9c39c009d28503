//! Models made anew, to see what that takes.

use std::collections::BTreeMap;

use crate::evaluate::candle_evaluator::spec_of;
use crate::evaluate::fault::Fault;
use crate::evaluate::fingerprint::Fingerprint;
use crate::evaluate::routing::made_of;
use crate::evaluate::{CandleEvaluator, memory};
use crate::model::Network;
use crate::recipe::Recipe;
use crate::units::Bytes;

/// A model that shares nothing but with the other merges of the same recipe.
pub(super) struct Built {
    pub network: Network,
    /// What each of its tensors is made of.
    made_of: BTreeMap<Fingerprint, String>,
    /// Time for merging and packing on one core.
    pub load_seconds: f64,
    /// By how much the process's own memory grew. Where it grew by less than the weights, as what earlier models left was
    /// taken again, the weights.
    pub bytes: Bytes,
}

impl CandleEvaluator {
    /// Merges a plain recipe on all threads; nothing else may run meanwhile. `others`: earlier merges of the same recipe.
    pub(super) fn build(&self, recipe: &Recipe, others: &[&Built]) -> Result<Built, Fault> {
        let plan = self.plan(recipe)?;
        let spec = spec_of(&plan, &plan.config()?)?;
        let own: BTreeMap<&str, Fingerprint> = (plan.tensors().iter())
            .map(|tensor| (tensor.name.as_str(), made_of(&plan, tensor)))
            .collect();
        let lender = |name: &str| {
            let key = own.get(name)?;
            others.iter().find_map(|other| Some((&other.network, other.made_of.get(key)?.clone())))
        };
        let before = memory::anonymous();
        let (network, load_seconds) = self.residents.fresh(&plan, &spec, &lender, &self.pool)?;
        let grown = memory::anonymous().0.saturating_sub(before.0);
        let bytes = Bytes(grown.max(network.bytes() as u64));
        let made_of = own.into_iter().map(|(name, key)| (key, name.to_owned())).collect();
        Ok(Built { network, made_of, load_seconds, bytes })
    }
}
