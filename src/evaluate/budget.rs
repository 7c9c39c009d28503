//! How the memory that may be allocated is shared out. Checkpoints are mapped and count as nothing.

use super::{OpenError, Room, Scorer, ScoringSet, memory};
use crate::checkpoint::Checkpoint;
use crate::merge::Prepared;
use crate::model::{Network, Precision};
use crate::recipe::MergeMethod;
use crate::units::Bytes;

/// States for later candidates never take more than this.
const STATES: u64 = 4_000_000_000;

/// What a machine gives to a search.
#[derive(Debug, Clone, Copy)]
pub struct Resources {
    /// Memory to allocate at most; `None`: what is free.
    pub memory: Option<Bytes>,
    /// Of the weights' products.
    pub precision: Precision,
}

impl Resources {
    /// What may be allocated; unlimited where nothing says how much there is.
    pub fn memory(&self) -> Bytes {
        let all = self.memory.into_iter().chain(memory::available()).min();
        all.unwrap_or(Bytes(u64::MAX / 4))
    }

    /// Room for scoring a network that is there already: what is left, or else what is free now. On a device both are
    /// the device's memory, and one thread uses it.
    pub fn room_beside(&self, network: &dyn Scorer, threads: usize) -> Room {
        let limit = self.memory.map(|all| all.0.saturating_sub(network.bytes() as u64));
        let free = network.free().map(|free| free.0);
        let threads = if network.on_device() { 1 } else { threads };
        let memory = limit.into_iter().chain(free).min().unwrap_or(u64::MAX / 4);
        Room { memory: Bytes(memory), threads }
    }
}

/// Bytes by what they are for.
pub(super) struct Budget {
    pub all: u64,
    pub threads: usize,
    /// The base model, what merging keeps of the experts, one tensor in the making per thread.
    pub fixed: u64,
    /// A merged model.
    pub candidate: u64,
}

impl Budget {
    /// `methods` are those of the space: some keep two bytes for each of the experts' elements.
    pub fn new(
        all: Bytes,
        threads: usize,
        base: &Network,
        checkpoint: &Checkpoint,
        experts: usize,
        methods: &[MergeMethod],
    ) -> Self {
        let elements = || checkpoint.tensors().map(|(_, shape)| shape.elements());
        let (weights, largest) = (elements().sum::<usize>(), elements().max().unwrap_or(0));
        let ranks = 2 * Prepared::orders(methods) * weights * experts;
        let fixed = (base.bytes() + ranks + 4 * threads * largest) as u64;
        Budget { all: all.0, threads, fixed, candidate: base.bytes() as u64 }
    }

    /// What the activations of all threads may take, beside one candidate.
    pub fn room(&self) -> Result<Room, OpenError> {
        let needed = self.fixed + self.candidate;
        match self.all.checked_sub(needed) {
            Some(memory) if memory > 0 => Ok(Room { memory: Bytes(memory), threads: self.threads }),
            _ => Err(OpenError::Memory {
                workers: self.threads,
                needed: Bytes(needed),
                available: Bytes(self.all),
            }),
        }
    }

    /// How many candidates fit side by side, at least one, and what is then left for states.
    pub fn share_out(&self, sets: &[ScoringSet]) -> (usize, usize) {
        let activations = sets.iter().map(|set| set.activation_bytes().0).max().unwrap_or(0);
        let headers = sets.iter().map(|set| set.header_bytes().0).max().unwrap_or(0);
        // The base model has states of its own, for timing.
        let taken = self.fixed + activations * self.threads as u64 + headers;
        let left = self.all.saturating_sub(taken);
        let each = (self.candidate + headers).max(1);
        let candidates = (left / each).clamp(1, self.threads as u64);
        let states = (left.saturating_sub(candidates * each) / 2).min(STATES);
        (candidates as usize, states as usize)
    }
}
