//! Sequences to batches: sorted so that neighbours share their beginnings, then cut into packs of about equal work that
//! fit into memory.

use std::ops::Range;

use super::Scorer;
use super::counted::sorted;
use super::headers::{Header, headers};
use crate::model::spec::Reading;
use crate::model::{Batch, Cache, Sequence};

/// Tokens of one pack of a network narrower than [`WIDE`]: its activations stay in a core's cache.
const TOKENS_PER_PACK: usize = 512;
/// Tokens of one pack of a wide network: the weights come from memory, once per pack, and fewer documents are cut in two.
/// Measured with 135 million parameters: 2048 take 0.77 of the time that 512 take; 4096 are no faster.
const TOKENS_PER_WIDE_PACK: usize = 2048;
/// Tokens of one pack on a device, where a product of few rows leaves most of a GPU idle.
const TOKENS_PER_DEVICE_PACK: usize = 8192;
/// Hidden size from which on a network is wide.
const WIDE: usize = 256;
/// A header's states may take up to this part of a thread's memory, beside the activations.
pub(super) const HEADER_SHARE: usize = 4;

/// A sequence, and which answers its numbers are.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub sequence: Sequence,
    /// One slot for a sequence with predictions, one per choice for a text to classify.
    pub answers: Range<usize>,
}

/// What a network is given at once.
#[derive(Debug)]
pub(super) enum Reads {
    /// Sequences with predictions.
    Tokens(Batch),
    /// Texts to classify.
    Texts(Vec<Vec<u32>>),
}

/// One batch, and where its results go.
#[derive(Debug)]
pub(super) struct Pack {
    pub reads: Reads,
    /// For each sequence or text its answers.
    pub answers: Vec<Range<usize>>,
    /// Index of the beginning that is computed apart.
    pub header: Option<usize>,
}

/// All packs of a set.
#[derive(Debug, Default)]
pub(super) struct Packs {
    pub packs: Vec<Pack>,
    /// Beginnings that packs share.
    pub headers: Vec<Vec<u32>>,
    /// Memory that the headers' keys and values take.
    pub states: usize,
    /// Memory that the activations of the largest pack take.
    pub largest: usize,
}

/// A sequence alone takes more memory than there is.
#[derive(Debug)]
pub(super) struct TooLarge {
    /// Index of the item.
    pub item: usize,
    pub bytes: usize,
}

/// What packing goes by.
pub(super) struct Packing<'a> {
    pub network: &'a dyn Scorer,
    pub mask_token: Option<u32>,
    /// For one thread's activations and the states of all headers.
    pub bytes: usize,
}

impl Packing<'_> {
    /// Packs all items. The result depends on their contents only up to the order of equal ones.
    pub fn pack(&self, items: &[Item]) -> Result<Packs, TooLarge> {
        let order = sorted(items);
        let headers = self.headers(items, &order);
        match self.pack_with(items, &order, &headers) {
            // The headers' states may be what leaves too little room.
            Err(_) if !headers.is_empty() => self.pack_with(items, &order, &[]),
            result => result,
        }
    }

    fn tokens_per_pack(&self) -> usize {
        match self.network.spec().hidden_size {
            _ if self.network.on_device() => TOKENS_PER_DEVICE_PACK,
            WIDE.. => TOKENS_PER_WIDE_PACK,
            _ => TOKENS_PER_PACK,
        }
    }

    fn pack_with(
        &self,
        items: &[Item],
        order: &[usize],
        headers: &[Header],
    ) -> Result<Packs, TooLarge> {
        let states = headers.iter().map(|header| states_bytes(self.network, header.length)).sum();
        let mut packs = Packs { states, ..Packs::default() };
        let mut next = 0;
        for header in headers {
            self.cut(items, &order[next..header.members.start], None, &mut packs)?;
            let members = &order[header.members.clone()];
            let first = members.first().map(|&first| &items[first].sequence.tokens);
            packs.headers.extend(first.map(|tokens| tokens[..header.length].to_vec()));
            self.cut(items, members, Some(header.length), &mut packs)?;
            next = header.members.end;
        }
        self.cut(items, &order[next..], None, &mut packs)?;
        Ok(packs)
    }

    /// Of a decoder alone; a second stack's states are not kept.
    fn headers(&self, items: &[Item], order: &[usize]) -> Vec<Header> {
        if self.network.spec().reading != Reading::Causal || self.network.on_device() {
            return Vec::new();
        }
        let sequences: Vec<&Sequence> = order.iter().map(|&i| &items[i].sequence).collect();
        let mut room = self.bytes / HEADER_SHARE;
        let mut headers = headers(&sequences, self.tokens_per_pack());
        headers.retain(|header| {
            let tokens = &sequences[header.members.start].tokens[..header.length];
            let own = self.network.activation_bytes(&Batch::chain(tokens));
            let states = states_bytes(self.network, header.length);
            let fits = states <= room && own <= self.bytes - self.bytes / HEADER_SHARE;
            room -= if fits { states } else { 0 };
            fits
        });
        headers
    }

    /// Packs neighbours; `prefix` leading tokens belong to the header that was added last.
    fn cut(
        &self,
        items: &[Item],
        order: &[usize],
        prefix: Option<usize>,
        packs: &mut Packs,
    ) -> Result<(), TooLarge> {
        let mut rest = order;
        while !rest.is_empty() {
            let fitting = self.sequences_that_fit(items, rest, prefix.unwrap_or(0));
            let (now, later) = rest.split_at(fitting);
            self.push(items, now, prefix, packs)?;
            rest = later;
        }
        Ok(())
    }

    /// At least one, however long it is.
    fn sequences_that_fit(&self, items: &[Item], order: &[usize], prefix: usize) -> usize {
        let reading = self.network.spec().reading;
        let mut tokens = 0;
        let mut previous = None;
        for (count, &index) in order.iter().enumerate() {
            let current = &items[index].sequence;
            tokens += tokens_after(reading, previous, current, prefix);
            if tokens > self.tokens_per_pack() && count > 0 {
                return count;
            }
            previous = Some(current);
        }
        order.len()
    }

    /// One pack, or where it does not fit into memory, its halves.
    fn push(
        &self,
        items: &[Item],
        members: &[usize],
        prefix: Option<usize>,
        packs: &mut Packs,
    ) -> Result<(), TooLarge> {
        let (batch, reads) = self.batch(items, members, prefix.unwrap_or(0));
        let bytes = self.network.activation_bytes(&batch);
        if bytes > self.bytes.saturating_sub(packs.states) {
            let (first, second) = members.split_at(members.len() / 2);
            if let ([], [item]) = (first, second) {
                return Err(TooLarge { item: *item, bytes });
            }
            self.push(items, first, prefix, packs)?;
            return self.push(items, second, prefix, packs);
        }
        let reads = reads.unwrap_or(Reads::Tokens(batch));
        let answers = members.iter().map(|&i| items[i].answers.clone()).collect();
        let header = prefix.and(packs.headers.len().checked_sub(1));
        packs.packs.push(Pack { reads, answers, header });
        packs.largest = packs.largest.max(bytes);
        Ok(())
    }

    /// What the network reads, and what it is given where that is not the batch.
    pub fn batch(
        &self,
        items: &[Item],
        members: &[usize],
        prefix: usize,
    ) -> (Batch, Option<Reads>) {
        let sequences: Vec<&Sequence> = members.iter().map(|&i| &items[i].sequence).collect();
        let reading = self.network.spec().reading;
        if reading != Reading::Classify {
            return (Batch::new(reading, self.mask_token, prefix, &sequences), None);
        }
        let texts: Vec<&[u32]> = sequences.iter().map(|sequence| &sequence.tokens[..]).collect();
        let owned = texts.iter().map(|text| text.to_vec()).collect();
        (Batch::texts(&texts), Some(Reads::Texts(owned)))
    }
}

/// Tokens that `current` adds to a pack that ends in `previous`.
fn tokens_after(
    reading: Reading,
    previous: Option<&Sequence>,
    current: &Sequence,
    prefix: usize,
) -> usize {
    let inputs = current.inputs().len();
    match reading {
        Reading::Classify => current.tokens.len(),
        Reading::Masked => current.tokens.len() * current.scored.len(),
        Reading::Causal => {
            let shared = previous.map_or(0, |previous| {
                crate::model::common_prefix(previous.inputs(), current.inputs())
            });
            inputs - shared.max(prefix).min(inputs)
        }
        Reading::Seq2Seq => match previous {
            Some(previous) if previous.source == current.source => {
                inputs - crate::model::common_prefix(previous.inputs(), current.inputs())
            }
            _ => current.source.len() + inputs,
        },
    }
}

/// Memory of the keys and values of `length` tokens in all layers.
pub(super) fn states_bytes(network: &dyn Scorer, length: usize) -> usize {
    let layers = network.spec().decoder.iter().flat_map(|stack| &stack.layers);
    layers
        .map(|layer| &layer.attention)
        .map(|attention| Cache::bytes_for(attention.kv_heads, attention.head_dim, length))
        .sum()
}
