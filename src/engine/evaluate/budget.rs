//! How the memory that may be allocated is shared out. Checkpoints are mapped and count as nothing.

use super::document_sets::SetsShare;
use super::pack::HEADER_SHARE;
use super::{OpenError, Room, Scorer, ScoringSet, memory};
use crate::checkpoint::Checkpoint;
use crate::merge::Prepared;
use crate::model::{Network, Precision};
use crate::recipe::MergeMethod;
use crate::units::Bytes;

/// States for later candidates never take more than this.
const STATES: u64 = 4_000_000_000;
/// Parts of splits that are held take as much as so many of the largest split at most: a generation is raced on two or three.
const PARTS: u64 = 3;
/// Sets under other prompts never take more than this, nor do the tokens that sets are made of.
const PROMPTS: u64 = 1_000_000_000;

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

    /// What there is room for.
    pub fn share_out(&self, sets: &[ScoringSet]) -> Shares {
        let most = |bytes: fn(&ScoringSet) -> u64| sets.iter().map(bytes).max().unwrap_or(0);
        let activations = most(|set| set.activation_bytes().0);
        let headers = most(|set| set.header_bytes().0);
        let threads = self.threads.max(1) as u64;
        // A part's packs are cut anew: they may be larger than those of the whole split, and have other headers.
        let most_of_thread = self.all.saturating_sub(self.fixed + self.candidate) / threads;
        let thread = (2 * activations + headers).min(most_of_thread);
        let held = PARTS * most(|set| set.bytes() as u64);
        // The base model has states of its own, for timing.
        let taken = self.fixed + thread * threads + headers + held;
        let left = self.all.saturating_sub(taken);
        let each = (self.candidate + headers.max(thread / HEADER_SHARE as u64)).max(1);
        let candidates = (left / each).clamp(1, threads);
        let spare = left.saturating_sub(candidates * each);
        let states = (spare / 2).min(STATES);
        // Prompts may be longer than the tasks' own, by as much as nobody knows here: a part of what is left is for them.
        let prompts = ((spare - states) / 8).min(PROMPTS);
        let longer = (spare - states) / 4;
        let models_at_rest = (left.saturating_sub(states) / each).max(1);
        let room = |memory: u64| Room { memory: Bytes(memory), threads: self.threads };
        let sets = SetsShare {
            held: (held + prompts) as usize,
            encoded: prompts as usize,
            room: room(thread * threads),
            room_of_prompts: room(thread * threads + longer),
        };
        Shares {
            candidates: candidates as usize,
            models_at_rest: usize::try_from(models_at_rest).unwrap_or(usize::MAX),
            states: states as usize,
            sets,
        }
    }
}

/// How the memory is shared out.
pub(super) struct Shares {
    /// How many candidates fit side by side, at least one.
    pub candidates: usize,
    /// How many models fit while no candidate is scored, at least one.
    pub models_at_rest: usize,
    /// Bytes for states of layers.
    pub states: usize,
    pub sets: SetsShare,
}
