//! Texts in groups that share a beginning, and how many of a group may grow at once.

use super::super::Scorer;
use super::super::pack::states_bytes;
use super::beginnings::{Beginning, beginnings};
use super::{Text, TextSetError};
use crate::model::spec::Reading;
use crate::model::{Batch, Cache, Pace};

/// Texts that grow side by side on a thread: the weights are read for all of them at once.
const TEXTS: usize = 32;
/// Tokens read in one step: prompts are read in pieces, so that activations stay small.
const TOKENS: usize = 512;
/// Where memory is short.
const FEWEST_TOKENS: usize = 32;
/// The states of beginnings may take up to this part of a thread's memory.
const SHARE: usize = 4;

/// Texts with the same beginning.
#[derive(Debug)]
pub(super) struct Group {
    /// Tokens that all prompts begin with; may be none.
    pub beginning: Vec<u32>,
    /// Indices of the texts, the longest first.
    pub members: Vec<usize>,
    /// For one thread.
    pub pace: Pace,
}

/// All groups.
pub(super) struct Grouped {
    pub groups: Vec<Group>,
    /// Bytes of the group that needs most on a thread.
    pub activations: usize,
    /// Bytes of the keys and values of all beginnings.
    pub states: usize,
}

/// What grouping goes by.
pub(super) struct Grouping<'a> {
    pub network: &'a dyn Scorer,
    pub texts: &'a [Text],
    /// For one thread.
    pub bytes: usize,
}

impl Grouping<'_> {
    pub fn group(&self) -> Result<Grouped, TextSetError> {
        let mut order: Vec<usize> = (0..self.texts.len()).collect();
        order.sort_by_key(|&index| &self.texts[index].prompt.tokens);
        let shared = self.beginnings(&order);
        match self.group_with(&order, &shared) {
            // The beginnings' states may be what leaves too little room.
            Err(_) if !shared.is_empty() => self.group_with(&order, &[]),
            result => result,
        }
    }

    /// Of a decoder alone: an encoder's states depend on the whole text.
    fn beginnings(&self, order: &[usize]) -> Vec<Beginning> {
        if self.network.spec().reading != Reading::Causal {
            return Vec::new();
        }
        let prompts: Vec<&[u32]> =
            order.iter().map(|&index| self.texts[index].prompt.tokens.as_slice()).collect();
        let mut room = self.bytes / SHARE;
        let mut found = beginnings(&prompts);
        found.retain(|beginning| {
            let tokens = &prompts[beginning.members.start][..beginning.length];
            let own = self.network.activation_bytes(&Batch::chain(tokens));
            let states = states_bytes(self.network, beginning.length);
            let fits = states <= room && own <= self.bytes - self.bytes / SHARE;
            room -= if fits { states } else { 0 };
            fits
        });
        found
    }

    fn group_with(&self, order: &[usize], shared: &[Beginning]) -> Result<Grouped, TextSetError> {
        let states = shared.iter().map(|one| states_bytes(self.network, one.length)).sum();
        let room = self.bytes.saturating_sub(states);
        let mut grouped = Grouped { groups: Vec::new(), activations: 0, states };
        let (mut alone, mut next) = (Vec::new(), 0);
        for beginning in shared {
            alone.extend_from_slice(&order[next..beginning.members.start]);
            let members = &order[beginning.members.clone()];
            next = beginning.members.end;
            let first = members.first().map(|&first| &self.texts[first].prompt.tokens);
            let tokens = first.map_or(Vec::new(), |tokens| tokens[..beginning.length].to_vec());
            self.add(tokens, members.to_vec(), room, &mut grouped)?;
        }
        alone.extend_from_slice(&order[next..]);
        self.add(Vec::new(), alone, room, &mut grouped)?;
        Ok(grouped)
    }

    fn add(
        &self,
        beginning: Vec<u32>,
        mut members: Vec<usize>,
        room: usize,
        grouped: &mut Grouped,
    ) -> Result<(), TextSetError> {
        if members.is_empty() {
            return Ok(());
        }
        members.sort_by_key(|&index| (std::cmp::Reverse(self.texts[index].longest()), index));
        let (pace, bytes) = self.pace(&members, beginning.len(), room)?;
        grouped.activations = grouped.activations.max(bytes);
        grouped.groups.push(Group { beginning, members, pace });
        Ok(())
    }

    /// The most texts and tokens at once that fit into `room`, and the bytes they take.
    fn pace(
        &self,
        members: &[usize],
        shared: usize,
        room: usize,
    ) -> Result<(Pace, usize), TextSetError> {
        let mut each: Vec<usize> =
            members.iter().map(|&index| self.text_bytes(&self.texts[index], shared)).collect();
        let longest = members.iter().map(|&index| self.texts[index].longest()).max().unwrap_or(0);
        let largest = (0..each.len()).max_by_key(|&index| each[index]);
        let request = largest.map_or(0, |index| members[index]);
        each.sort_by_key(|bytes| std::cmp::Reverse(*bytes));
        let source = members.iter().map(|&index| self.texts[index].prompt.source.len()).max();
        let needed = |pace: Pace| {
            let kept: usize = each.iter().take(pace.texts).sum();
            kept.saturating_add(self.step_bytes(pace, source.unwrap_or(0)))
        };
        let slow = Pace { texts: 1, tokens: FEWEST_TOKENS, longest };
        let paces = (1..=TEXTS.min(members.len())).rev().map(|texts| Pace {
            texts,
            tokens: TOKENS,
            longest,
        });
        let fits = |pace: Pace| Some((pace, needed(pace))).filter(|(_, bytes)| *bytes <= room);
        let too_large = || TextSetError::TooLarge { request, bytes: needed(slow), available: room };
        paces.chain([slow]).find_map(fits).ok_or_else(too_large)
    }

    /// Keys and values of one text, of which `shared` tokens are kept once for the group: less than a tile of them is
    /// copied.
    fn text_bytes(&self, text: &Text, shared: usize) -> usize {
        let whole = states_bytes(self.network, text.longest());
        let own = whole - states_bytes(self.network, shared) + states_bytes(self.network, 1);
        let decoder = self.network.spec().decoder.iter().flat_map(|stack| &stack.layers);
        let crosses = decoder.filter_map(|layer| layer.cross.as_ref());
        let source = text.prompt.source.len();
        let of_source =
            crosses.map(|(cross, _)| Cache::bytes_for(cross.kv_heads, cross.head_dim, source));
        own + of_source.sum::<usize>()
    }

    /// Activations of the largest step, and of reading a source.
    fn step_bytes(&self, pace: Pace, source: usize) -> usize {
        let mut batch = Batch::chain(&vec![0; pace.tokens.max(pace.texts)]);
        batch.positions[0] = pace.longest.max(1) - 1;
        batch.rows = (0..pace.texts).collect();
        batch.sources.push(&vec![0; source]);
        self.network.activation_bytes(&batch)
    }
}
