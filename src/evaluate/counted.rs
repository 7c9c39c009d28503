//! What scoring takes, counted.

use super::generation::GeneratedText;
use super::pack::{Item, Packing};
use super::scoring::ScoringSet;
use crate::model::spec::Reading;
use crate::model::{Network, Workload};
use crate::outcome::Cost;
use crate::units::Bytes;

impl ScoringSet {
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
