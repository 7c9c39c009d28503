//! What a model has to do for a block of documents, cut into pieces that are timed one by one.

use std::sync::Arc;

use super::clock::{Lap, clocked};
use super::prefill::Prefill;
use crate::evaluate::ScoringSet;
use crate::evaluate::generation::{TextPack, TextSet};
use crate::evaluate::pack::Pack;
use crate::evaluate::run::prefix_of;
use crate::model::{Batch, Network, Prefix, Scratch};

/// All that is done for a block: from tokens to answers, shared beginnings included.
pub(super) struct Timed<'a> {
    network: &'a Network,
    work: Vec<Work<'a>>,
    /// States of the beginnings that have been read, of choices and of texts.
    headers: Vec<Arc<Prefix>>,
    beginnings: Vec<Arc<Prefix>>,
}

enum Work<'a> {
    /// What packs begin with, and which of those it is.
    Header(usize, &'a [u32]),
    Pack(&'a Pack),
    /// The same of prompts that texts follow.
    Beginning(usize, &'a [u32]),
    Text(TextPack<'a>),
    Prefill {
        network: &'a Network,
        batch: &'a Batch,
        layer: usize,
    },
}

impl<'a> Timed<'a> {
    /// A network that reads all of `set`.
    pub fn new(network: &'a Network, set: &'a ScoringSet) -> Self {
        let headers = set.headers().enumerate().map(|(index, tokens)| Work::Header(index, tokens));
        let beginnings = set.texts().into_iter().flat_map(TextSet::beginnings).enumerate();
        let beginnings = beginnings.map(|(index, tokens)| Work::Beginning(index, tokens));
        let texts = set.texts().into_iter().flat_map(TextSet::packs).map(Work::Text);
        let work = headers.chain(set.packs().map(Work::Pack)).chain(beginnings).chain(texts);
        Timed { network, work: work.collect(), headers: Vec::new(), beginnings: Vec::new() }
    }

    /// What a gate makes the base model do.
    pub fn of_gate(network: &'a Network, prefill: &'a Prefill) -> Self {
        let layer = prefill.layer;
        let work = prefill.batches.iter().map(|batch| Work::Prefill { network, batch, layer });
        Timed { network, work: work.collect(), headers: Vec::new(), beginnings: Vec::new() }
    }

    /// All of `first`, and then this.
    pub fn after(mut self, first: Timed<'a>) -> Self {
        self.work = first.work.into_iter().chain(self.work).collect();
        self
    }

    /// Number of pieces.
    pub fn pieces(&self) -> usize {
        self.work.len()
    }

    /// Does one piece; those that begin others come first.
    pub fn lap(&mut self, piece: usize, scratch: &mut Scratch) -> candle_core::Result<Lap> {
        let seconds = match self.work.get(piece) {
            None => 0.0,
            Some(Work::Pack(pack)) => pack.seconds(self.network, &self.headers, scratch)?,
            Some(Work::Text(pack)) => return pack.lap(self.network, &self.beginnings, scratch),
            Some(Work::Header(index, tokens)) => {
                let (prefix, seconds) = clocked(|| prefix_of(self.network, tokens, scratch));
                put(&mut self.headers, *index, prefix?);
                seconds
            }
            Some(Work::Beginning(index, tokens)) => {
                let (prefix, seconds) = clocked(|| prefix_of(self.network, tokens, scratch));
                put(&mut self.beginnings, *index, prefix?);
                seconds
            }
            Some(Work::Prefill { network, batch, layer }) => {
                let (states, seconds) =
                    clocked(|| network.layer_input(batch, *layer, None, scratch));
                states?;
                seconds
            }
        };
        Ok(Lap { seconds, ..Lap::default() })
    }
}

/// Beginnings come in their order: a new one is the next.
fn put(prefixes: &mut Vec<Arc<Prefix>>, index: usize, prefix: Arc<Prefix>) {
    match prefixes.get_mut(index) {
        Some(place) => *place = prefix,
        None => prefixes.push(prefix),
    }
}
