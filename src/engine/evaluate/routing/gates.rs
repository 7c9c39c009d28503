//! The gates of a search: each is fitted once, and what it says of a split's documents is remembered.

use std::sync::{Arc, Mutex, PoisonError};

use super::prompts::Judged;
use super::{FittedGate, PromptReader, RoutingError};
use crate::evaluate::Documents;
use crate::recipe::Gate;
use crate::units::Split;

/// What a gate says of all documents of a split that are scored, task by task.
pub(in crate::evaluate) type Judgement = Arc<Vec<Vec<Judged>>>;

/// All gates that came up.
#[derive(Default)]
pub(in crate::evaluate) struct Gates(Mutex<Vec<(Gate, Arc<Known>)>>);

/// What is known of a gate; locked while it is worked out.
#[derive(Default)]
struct Known {
    fitted: Mutex<Option<Arc<FittedGate>>>,
    judged: [Mutex<Option<Judgement>>; 3],
}

impl Gates {
    /// `documents`: all that are scored of any split.
    pub fn fitted(
        &self,
        gate: &Gate,
        documents: &Documents,
        reader: &PromptReader,
    ) -> Result<Arc<FittedGate>, RoutingError> {
        once(&self.known(gate).fitted, || Ok(Arc::new(reader.fit(gate, documents.tasks)?)))
    }

    /// `documents`: all that are scored of `split`.
    pub fn judged(
        &self,
        gate: &Gate,
        split: Split,
        documents: &Documents,
        reader: &PromptReader,
    ) -> Result<Judgement, RoutingError> {
        let fitted = self.fitted(gate, documents, reader)?;
        let known = self.known(gate);
        once(&known.judged[split as usize], || Ok(Arc::new(reader.judge(&fitted, documents)?)))
    }

    fn known(&self, gate: &Gate) -> Arc<Known> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = gates.iter().find(|(own, _)| own == gate) {
            return Arc::clone(known);
        }
        let known = Arc::<Known>::default();
        gates.push((*gate, Arc::clone(&known)));
        known
    }
}

/// Whoever asks meanwhile waits.
fn once<T: Clone>(
    place: &Mutex<Option<T>>,
    make: impl FnOnce() -> Result<T, RoutingError>,
) -> Result<T, RoutingError> {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = &*place {
        return Ok(made.clone());
    }
    let made = make()?;
    Ok(place.insert(made).clone())
}
