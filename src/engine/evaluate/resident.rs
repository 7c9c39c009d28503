//! Merged models that stay in memory, so that the next candidate is merged into one of them and only where it differs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::load::{LoadError, require_tensors};
use super::pool::{Pool, timed};
use crate::merge::{MergeError, MergePlan, PlannedTensor, Prepared};
use crate::model::spec::NetworkSpec;
use crate::model::{Network, Precision};

/// Models that no candidate is using.
pub(super) struct Residents {
    idle: Mutex<Vec<Resident>>,
    prepared: Prepared,
    precision: Precision,
}

/// A model, and what each of its tensors was made by.
pub(super) struct Resident {
    tensors: BTreeMap<String, PlannedTensor>,
    pub(super) network: Network,
}

/// Which network has a tensor already, and under which name.
pub(super) type Lender<'l, 'n> = dyn Fn(&str) -> Option<(&'n Network, String)> + 'l;

/// Why a plan gave no model.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResidentError {
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("cannot write the merged weights")]
    Write(#[from] candle_core::Error),
}

impl Residents {
    /// None yet.
    pub(super) fn new(precision: Precision) -> Self {
        Residents { idle: Mutex::default(), prepared: Prepared::new(), precision }
    }

    /// Of their weights in memory.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// The model of a plan: the idle one that has most of its tensors already, with the others written anew; or a new
    /// one. Whoever has done with it gives it back. Also the time it took, in seconds on one core.
    pub(super) fn merge(
        &self,
        plan: &MergePlan,
        spec: &NetworkSpec,
        pool: &Pool,
    ) -> Result<(Resident, f64), ResidentError> {
        let (resident, begun) = timed(|| match self.take(plan, spec) {
            Some(resident) => Ok(resident),
            None => Resident::sharing(plan, spec, self.precision, &|_| None),
        });
        let mut resident = resident?;
        let merged = resident.update(plan, Some(&self.prepared), pool)?;
        Ok((resident, begun + merged))
    }

    /// A model of its own but for the tensors that `lender` has, every other tensor merged as if none had been before.
    pub(super) fn fresh<'n>(
        &self,
        plan: &MergePlan,
        spec: &NetworkSpec,
        lender: &Lender<'_, 'n>,
        pool: &Pool,
    ) -> Result<(Network, f64), ResidentError> {
        let (resident, begun) = timed(|| Resident::sharing(plan, spec, self.precision, lender));
        let mut resident = resident?;
        let merged = resident.update(plan, None, pool)?;
        Ok((resident.network, begun + merged))
    }

    /// Drops the models that no candidate is using.
    pub(super) fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn give_back(&self, resident: Resident) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(resident);
    }

    fn take(&self, plan: &MergePlan, spec: &NetworkSpec) -> Option<Resident> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |(_, resident): &(usize, &Resident)| resident.fits(plan, spec);
        let alike = |(_, resident): &(usize, &Resident)| resident.elements_in_common(plan);
        let nearest = idle.iter().enumerate().filter(fits).max_by_key(alike);
        match nearest.map(|(nearest, _)| nearest) {
            Some(nearest) => Some(idle.swap_remove(nearest)),
            None => {
                // Makes room for the new one: there is memory for one model per candidate in flight.
                drop(idle.pop());
                None
            }
        }
    }
}

impl Resident {
    /// Of the plan's shape; nothing is merged yet but what is lent.
    fn sharing<'n>(
        plan: &MergePlan,
        spec: &NetworkSpec,
        precision: Precision,
        lender: &Lender<'_, 'n>,
    ) -> Result<Resident, ResidentError> {
        let shapes: BTreeMap<&str, &[usize]> = plan
            .tensors()
            .iter()
            .map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice()))
            .collect();
        require_tensors(spec, |name| shapes.get(name).copied())?;
        let network = Network::sharing(spec, precision, lender).map_err(LoadError::from)?;
        Ok(Resident { tensors: BTreeMap::new(), network })
    }

    /// Merges what differs, tensors side by side, and gives the seconds it took on one core. After an error the model is
    /// neither the old nor the new one, so it must not be used.
    fn update(
        &mut self,
        plan: &MergePlan,
        prepared: Option<&Prepared>,
        pool: &Pool,
    ) -> Result<f64, ResidentError> {
        let differs = |tensor: &&PlannedTensor| self.tensors.get(&tensor.name) != Some(tensor);
        let mut changed: Vec<&PlannedTensor> = plan.tensors().iter().filter(differs).collect();
        // The largest first, so that no thread is left with it at the end.
        changed.sort_by_key(|tensor| std::cmp::Reverse(tensor.elements()));
        let network = &self.network;
        let merge = |tensor: &&PlannedTensor| {
            let (result, seconds) = timed(|| write(plan, tensor, prepared, pool, network));
            result.map(|()| seconds)
        };
        let merged: Vec<_> =
            pool.install(|| changed.par_iter().with_max_len(1).map(merge).collect());
        let mut seconds = 0.0;
        for (tensor, merged) in changed.into_iter().zip(merged) {
            seconds += merged?;
            self.tensors.insert(tensor.name.clone(), tensor.clone());
        }
        Ok(seconds)
    }

    /// Whether it has the plan's tensors, all of them and in their shapes.
    fn fits(&self, plan: &MergePlan, spec: &NetworkSpec) -> bool {
        let has = |tensor: &PlannedTensor| {
            self.tensors.get(&tensor.name).is_some_and(|own| own.shape == tensor.shape)
        };
        self.network.spec() == spec
            && self.tensors.len() == plan.tensors().len()
            && plan.tensors().iter().all(has)
    }

    fn elements_in_common(&self, plan: &MergePlan) -> usize {
        let same = |tensor: &&PlannedTensor| self.tensors.get(&tensor.name) == Some(tensor);
        plan.tensors().iter().filter(same).map(PlannedTensor::elements).sum()
    }
}

/// Merges one tensor and packs it; one that the network has no use for, or that is lent to it, is left out.
fn write(
    plan: &MergePlan,
    tensor: &PlannedTensor,
    prepared: Option<&Prepared>,
    pool: &Pool,
    network: &Network,
) -> Result<(), ResidentError> {
    if network.depth(&tensor.name).is_none() || network.is_shared(&tensor.name) {
        return Ok(());
    }
    pool.with_buffer(tensor.elements(), |values| {
        plan.merge_into(tensor, prepared, values)?;
        network.write(&tensor.name, values)?;
        Ok(())
    })
}
