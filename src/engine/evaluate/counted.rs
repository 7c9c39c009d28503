//! What scoring takes, counted.

use super::generation::GeneratedText;
use super::pack::{Item, Packing};
use super::scoring::ScoringSet;
use crate::model::spec::{NetworkSpec, Reading};
use crate::model::{Network, Workload};
use crate::outcome::Cost;
use crate::units::Bytes;

/// What documents ask of any model: the tokens to read, and the texts to write if none ends early.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// Number of documents.
    pub docs: usize,
    /// Prompts and choices; of a text also its first new token.
    pub reading: Workload,
    /// New tokens at most, over all texts.
    pub new_tokens: usize,
    /// Tokens behind which the new ones are written, all together.
    pub known_tokens: usize,
    /// Tokens of the longest text.
    pub longest: usize,
}

impl Demand {
    /// Both.
    pub fn add(&mut self, other: &Demand) {
        self.docs += other.docs;
        self.reading.add(&other.reading);
        self.new_tokens += other.new_tokens;
        self.known_tokens += other.known_tokens;
        self.longest = self.longest.max(other.longest);
    }
}

impl ScoringSet {
    /// What all documents ask.
    pub(super) fn demand(&self) -> Demand {
        let docs = self.docs();
        let reading = self.choices_work().clone();
        let longest = reading.longest();
        let mut demand = Demand { docs, reading, longest, ..Demand::default() };
        if let Some(set) = self.texts() {
            demand.reading.add(&set.work(|index| set.room(index).1.min(1)));
            for (prompt, new) in (0..set.len()).map(|index| set.room(index)) {
                demand.new_tokens += new;
                demand.known_tokens += new * (prompt + new / 2);
                demand.longest = demand.longest.max(prompt + new);
            }
        }
        demand
    }

    /// Operations of a network for all documents, where every text is as long as it may be.
    pub(super) fn most_flops(&self, spec: &NetworkSpec) -> f64 {
        let mut work = self.choices_work().clone();
        if let Some(set) = self.texts() {
            work.add(&set.work(|index| set.room(index).1));
        }
        spec.flops(&work)
    }

    /// What `network` costs that gave `texts`; the same on every machine, with any number of threads and whatever earlier
    /// candidates left behind.
    pub(super) fn cost(&self, network: &Network, texts: &[GeneratedText]) -> Cost {
        let mut work = self.choices_work().clone();
        if let Some(set) = self.texts() {
            work.add(&set.work(|index| texts.get(index).map_or(0, |text| text.tokens)));
        }
        Cost {
            flops_per_item: network.spec().flops(&work) / self.docs().max(1) as f64,
            weight_bytes: Bytes((network.bytes() + network.shared_bytes()) as u64),
        }
    }
}

impl Packing<'_> {
    /// The work of all items where every beginning that sequences share is read once. Packs come close to it: they read a
    /// beginning again only where memory or their size cuts its sequences apart.
    pub fn work(&self, items: &[Item]) -> Workload {
        let order = sorted(items);
        match self.network.spec().reading {
            Reading::Causal | Reading::Seq2Seq => Workload::of(&self.batch(items, &order, 0).0),
            Reading::Masked | Reading::Classify => {
                let mut work = Workload::default();
                for index in order {
                    work.add(&Workload::of(&self.batch(items, &[index], 0).0));
                }
                work
            }
        }
    }
}

/// Indices of the items, those with the same beginning side by side.
pub(super) fn sorted(items: &[Item]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    let key = |index: usize| (&items[index].sequence.source, &items[index].sequence.tokens);
    order.sort_by(|&a, &b| key(a).cmp(&key(b)).then(a.cmp(&b)));
    order
}
