//! Models made anew, to see what that takes.

use crate::evaluate::candle_evaluator::spec_of;
use crate::evaluate::fault::Fault;
use crate::evaluate::{CandleEvaluator, memory};
use crate::model::Network;
use crate::recipe::Recipe;
use crate::units::Bytes;

/// A model that shares nothing with earlier ones.
pub(super) struct Built {
    pub network: Network,
    /// Time for merging and packing on one core.
    pub load_seconds: f64,
    /// By how much the process's own memory grew. Where it grew by less than the weights, as what earlier models left was
    /// taken again, the weights.
    pub bytes: Bytes,
}

impl CandleEvaluator {
    /// Merges a plain recipe on all threads; nothing else may run meanwhile.
    pub(super) fn build(&self, recipe: &Recipe) -> Result<Built, Fault> {
        let plan = self.plan(recipe)?;
        let spec = spec_of(&plan, &plan.config()?)?;
        let before = memory::anonymous();
        let (network, load_seconds) = self.residents.fresh(&plan, &spec, &self.pool)?;
        let grown = memory::anonymous().0.saturating_sub(before.0);
        let bytes = Bytes(grown.max(network.bytes() as u64));
        Ok(Built { network, load_seconds, bytes })
    }
}
