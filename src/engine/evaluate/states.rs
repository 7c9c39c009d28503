//! States inside the network that candidates with the same first layers share.
//!
//! Kept only for first layers that came up before: a search whose candidates differ everywhere pays nothing but the
//! fingerprints.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::document_sets::DocsKey;
use super::fingerprint::Fingerprint;
use crate::model::States;

/// First layers that are remembered as having come up.
const SEEN: usize = 1 << 16;

/// Which first layers read which documents.
type Key = (Fingerprint, DocsKey);

/// A bounded memory of states.
pub(super) struct StatesMemory(Mutex<Inner>);

struct Inner {
    states: super::lru::Lru<Key, Arc<Vec<States>>>,
    seen: BTreeSet<Key>,
    order: VecDeque<Key>,
    reused: Reuse,
}

/// What has been saved so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reuse {
    /// Candidates that were scored before as a whole.
    pub candidates: usize,
    /// Layers of other candidates that were not computed again.
    pub layers: usize,
}

/// What is known of a candidate's first layers.
#[derive(Default)]
pub(super) struct Known {
    /// States to begin with, pack by pack.
    pub resume: Option<Arc<Vec<States>>>,
    /// The layer whose input is to be kept.
    pub keep: Option<usize>,
}

impl StatesMemory {
    /// Holds up to `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        StatesMemory(Mutex::new(Inner {
            states: super::lru::Lru::new(capacity),
            seen: BTreeSet::new(),
            order: VecDeque::new(),
            reused: Reuse::default(),
        }))
    }

    /// What to begin with and what to keep; `inputs[d]` decides what layer `d` reads, `bytes` is what one layer's input
    /// takes for all packs of `docs`. Remembers that these first layers came up.
    pub fn known(&self, inputs: &[Fingerprint], docs: DocsKey, bytes: usize) -> Known {
        let mut inner = self.lock();
        if !inner.states.takes(bytes) {
            return Known::default();
        }
        let key = |depth: usize| (inputs[depth], docs);
        // The embedding alone saves nothing worth its memory.
        let held = (1..inputs.len()).rev().find(|depth| inner.states.contains(&key(*depth)));
        let known_from = held.map_or(1, |depth| depth + 1);
        let keep = (known_from..inputs.len()).rev().find(|depth| inner.seen.contains(&key(*depth)));
        let resume = held.and_then(|depth| inner.states.get(&key(depth)));
        inner.reused.layers += held.unwrap_or(0);
        (1..inputs.len()).for_each(|depth| inner.see(key(depth)));
        if keep.is_some() {
            inner.states.make_room(bytes);
        }
        Known { resume, keep }
    }

    /// Holds what was kept, if memory allows.
    pub fn insert(&self, input: Fingerprint, docs: DocsKey, states: Vec<States>) {
        let bytes = states.iter().map(States::bytes).sum();
        self.lock().states.insert((input, docs), Arc::new(states), bytes);
    }

    /// Counts a candidate that was scored before.
    pub fn count_candidate(&self) {
        self.lock().reused.candidates += 1;
    }

    pub fn reused(&self) -> Reuse {
        self.lock().reused
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn see(&mut self, key: Key) {
        if !self.seen.insert(key) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Split;

    const SEARCH: DocsKey = DocsKey { split: Split::Search, part: None, prompts: None };

    fn keep(memory: &StatesMemory, inputs: &[Fingerprint]) -> Option<usize> {
        memory.known(inputs, SEARCH, 8).keep
    }

    #[test]
    fn nothing_is_kept_before_first_layers_come_up_again() {
        let memory = StatesMemory::new(100);
        assert_eq!(keep(&memory, &[1, 2, 3, 4]), None);
        assert_eq!(keep(&memory, &[1, 20, 30, 40]), None, "an equal embedding is not worth it");
        assert_eq!(keep(&memory, &[1, 2, 3, 5]), Some(2), "the deepest that came up");
        let others = DocsKey { split: Split::Holdout, ..SEARCH };
        assert_eq!(memory.known(&[1, 2, 3, 6], others, 8).keep, None, "other documents");
        let part = DocsKey { part: Some(7), ..SEARCH };
        assert_eq!(memory.known(&[1, 2, 3, 6], part, 8).keep, None, "fewer documents");
        let asked = DocsKey { prompts: Some(7), ..SEARCH };
        assert_eq!(memory.known(&[1, 2, 3, 6], asked, 8).keep, None, "other prompts");
    }

    #[test]
    fn what_is_held_is_begun_with_and_not_kept_again() {
        let memory = StatesMemory::new(100);
        keep(&memory, &[1, 2, 3, 4]);
        memory.insert(3, SEARCH, Vec::new());
        let known = memory.known(&[1, 2, 3, 9], SEARCH, 8);
        assert!(known.resume.is_some() && known.keep.is_none());
        assert_eq!(memory.reused().layers, 2);
        let deeper = memory.known(&[1, 2, 3, 9], SEARCH, 8);
        assert_eq!((deeper.resume.is_some(), deeper.keep), (true, Some(3)));
    }

    #[test]
    fn what_is_larger_than_the_memory_is_left_alone() {
        let memory = StatesMemory::new(7);
        assert_eq!((keep(&memory, &[1, 2]), keep(&memory, &[1, 2])), (None, None));
    }
}
