//! Merged models that stay in memory, so that the next candidate is merged into one of them and only where it differs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::merge::{MergeError, MergePlan, PlannedTensor, Prepared};
use crate::model::{Llama, LlamaConfig, LoadError};

/// Models that no worker is using.
#[derive(Default)]
pub(super) struct Residents {
    idle: Mutex<Vec<Resident>>,
    prepared: Prepared,
}

/// A model, and what each of its tensors was made by.
pub(super) struct Resident {
    tensors: BTreeMap<String, PlannedTensor>,
    pub(super) model: Llama,
}

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
    /// The model of a plan: the idle one that has most of its tensors already, with the others written anew; or a new
    /// one. Whoever has done with it gives it back.
    pub(super) fn merge(
        &self,
        plan: &MergePlan,
        config: &LlamaConfig,
    ) -> Result<Resident, ResidentError> {
        match self.take(plan, config) {
            Some(mut resident) => {
                resident.update(plan, &self.prepared)?;
                Ok(resident)
            }
            None => Resident::new(plan, config, &self.prepared),
        }
    }

    pub(super) fn give_back(&self, resident: Resident) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(resident);
    }

    fn take(&self, plan: &MergePlan, config: &LlamaConfig) -> Option<Resident> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |(_, resident): &(usize, &Resident)| resident.fits(plan, config);
        let alike = |(_, resident): &(usize, &Resident)| resident.elements_in_common(plan);
        let nearest = idle.iter().enumerate().filter(fits).max_by_key(alike);
        match nearest.map(|(nearest, _)| nearest) {
            Some(nearest) => Some(idle.swap_remove(nearest)),
            None => {
                // Makes room for the new one: there is memory for one model per worker.
                drop(idle.pop());
                None
            }
        }
    }
}

impl Resident {
    fn new(
        plan: &MergePlan,
        config: &LlamaConfig,
        prepared: &Prepared,
    ) -> Result<Resident, ResidentError> {
        let tensors: BTreeMap<String, PlannedTensor> =
            plan.tensors().iter().map(|tensor| (tensor.name.clone(), tensor.clone())).collect();
        // The model knows of its tensors no more than that one could not be made.
        let mut fault = None;
        let model = Llama::new(config, |name, shape, out| {
            let missing = || LoadError::Missing { name: name.to_owned() };
            let tensor = tensors.get(name).ok_or_else(missing)?;
            require_shape(name, shape, &tensor.shape)?;
            plan.merge_into(tensor, Some(prepared), out).map_err(|error| {
                fault = Some(error);
                LoadError::Fill { name: name.to_owned() }
            })
        });
        match (model, fault) {
            (_, Some(fault)) => Err(fault.into()),
            (model, None) => Ok(Resident { tensors, model: model? }),
        }
    }

    /// Merges what differs. After an error the model is neither the old nor the new one, so it must not be used.
    fn update(&mut self, plan: &MergePlan, prepared: &Prepared) -> Result<(), ResidentError> {
        for tensor in plan.tensors() {
            if self.tensors.get(&tensor.name) == Some(tensor) {
                continue;
            }
            let fault = Mutex::new(None);
            self.model.rewrite(&tensor.name, |out| {
                let result = plan.merge_into(tensor, Some(prepared), out);
                *fault.lock().unwrap_or_else(PoisonError::into_inner) = result.err();
            })?;
            if let Some(fault) = fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
                return Err(fault.into());
            }
            self.tensors.insert(tensor.name.clone(), tensor.clone());
        }
        Ok(())
    }

    /// Whether it has the plan's tensors, all of them and in their shapes.
    fn fits(&self, plan: &MergePlan, config: &LlamaConfig) -> bool {
        let has = |tensor: &PlannedTensor| {
            self.tensors.get(&tensor.name).is_some_and(|own| own.shape == tensor.shape)
        };
        self.model.config() == config
            && self.tensors.len() == plan.tensors().len()
            && plan.tensors().iter().all(has)
    }

    fn elements_in_common(&self, plan: &MergePlan) -> usize {
        let same = |tensor: &&PlannedTensor| self.tensors.get(&tensor.name) == Some(tensor);
        plan.tensors().iter().filter(same).map(PlannedTensor::elements).sum()
    }
}

pub(super) fn require_shape(
    name: &str,
    expected: &[usize],
    got: &[usize],
) -> Result<(), LoadError> {
    if expected == got {
        return Ok(());
    }
    let (name, expected, got) = (name.to_owned(), expected.to_vec(), got.to_vec());
    Err(LoadError::Shape { name, expected, got })
}
