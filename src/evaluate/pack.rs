//! Sequences to batches: sorted so that neighbours share their beginnings, then cut into packs of about equal work.

use crate::model::{Sequence, TokenForest};

/// Tokens of one pack, so that the activations of a small model stay in a core's cache.
const TOKENS_PER_PACK: usize = 512;

/// One batch, and which answer each of its sequences is.
#[derive(Debug)]
pub struct Pack {
    /// What the model reads.
    pub forest: TokenForest,
    /// For each sequence of the forest, its place in the list that was packed.
    pub places: Vec<usize>,
}

/// Packs all sequences. The result depends on their contents only up to the order of equal ones.
pub fn pack(sequences: &[Sequence]) -> Vec<Pack> {
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by(|&a, &b| {
        sequences[a]
            .tokens
            .cmp(&sequences[b].tokens)
            .then(a.cmp(&b))
    });
    let mut packs = Vec::new();
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(sequences_that_fit(sequences, rest));
        let forest = TokenForest::new(&now.iter().map(|&i| &sequences[i]).collect::<Vec<_>>());
        packs.push(Pack {
            forest,
            places: now.to_vec(),
        });
        rest = later;
    }
    packs
}

/// At least one, however long it is.
fn sequences_that_fit(sequences: &[Sequence], order: &[usize]) -> usize {
    let mut tokens = 0;
    let mut previous: &[u32] = &[];
    for (count, &index) in order.iter().enumerate() {
        let current = &sequences[index].tokens;
        tokens += current.len() - crate::model::common_prefix(previous, current);
        if tokens > TOKENS_PER_PACK && count > 0 {
            return count;
        }
        previous = current;
    }
    order.len()
}
