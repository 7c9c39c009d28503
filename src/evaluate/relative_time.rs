//! How long a model takes, compared with the base model.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ScoringSet;
use super::fingerprint::{Fingerprint, fingerprint};
use super::generation::{TextPack, TextSet};
use super::pack::Pack;
use crate::model::spec::NetworkSpec;
use crate::model::{Network, Prefix, Scratch};
use crate::units::Split;

/// So many models of an inference graph are timed before a median stands for the next.
const FIRST: usize = 5;
/// From then on one of so many is timed.
const EVERY: usize = 20;

/// Relative times of models by what they compute.
///
/// Timing takes a twentieth of a whole split's scoring for each of two models: nothing beside the split, but as long as
/// scoring a small part of it. Networks of the same spec do the same work whatever their weights, so where only a part of a
/// split is scored most candidates are given the median of what was measured of their like.
#[derive(Default)]
pub(super) struct RelativeTimes(Mutex<BTreeMap<Graph, Times>>);

/// What a model computes, and on which documents it is timed.
pub(super) type Graph = (Fingerprint, Split);

#[derive(Default)]
struct Times {
    asked: usize,
    measured: Vec<f64>,
}

pub(super) fn graph_of(spec: &NetworkSpec, split: Split) -> Graph {
    (fingerprint(spec), split)
}

impl RelativeTimes {
    /// What stands for the time of the next model of this graph; `None`: it is to be measured.
    pub fn expected(&self, graph: &Graph) -> Option<f64> {
        let mut times = self.lock();
        let of_graph = times.entry(*graph).or_default();
        of_graph.asked += 1;
        let due = of_graph.asked.is_multiple_of(EVERY) || of_graph.measured.len() < FIRST;
        if due { None } else { median(&of_graph.measured) }
    }

    pub fn add(&self, graph: &Graph, relative_time: f64) {
        self.lock().entry(*graph).or_default().measured.push(relative_time);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Graph, Times>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn median(times: &[f64]) -> Option<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2)?;
    Some((lower + upper) / 2.0)
}

/// A model's states of what documents begin with.
#[derive(Default)]
pub(super) struct Prefixes {
    pub packs: Vec<Arc<Prefix>>,
    pub texts: Vec<Arc<Prefix>>,
}

impl Prefixes {
    /// Reads the beginnings of all documents of `set`.
    pub fn read(
        set: &ScoringSet,
        network: &Network,
        scratch: &mut Scratch,
    ) -> candle_core::Result<Prefixes> {
        let texts = set.texts().map_or(Ok(Vec::new()), |own| own.prefixes(network, scratch))?;
        Ok(Prefixes { packs: set.prefixes(network, scratch)?, texts })
    }
}

/// A model to be timed.
#[derive(Clone, Copy)]
pub(super) struct Timed<'a> {
    pub network: &'a Network,
    pub prefixes: &'a Prefixes,
}

/// Something that two models can be timed on.
enum Work<'a> {
    Pack(&'a Pack),
    Text(TextPack<'a>),
}

impl Work<'_> {
    fn seconds(&self, model: Timed, scratch: &mut Scratch) -> candle_core::Result<f64> {
        match self {
            Work::Pack(pack) => pack.seconds(model.network, &model.prefixes.packs, scratch),
            Work::Text(pack) => pack.seconds(model.network, &model.prefixes.texts, scratch),
        }
    }
}

/// Time of `ours` divided by that of `theirs` on a fixed block of documents, pack by pack in turns, so that a machine that
/// gets busier slows both. Calls no rayon, so that nothing else gets in between.
pub(super) fn in_turns(
    set: &ScoringSet,
    ours: Timed,
    theirs: Timed,
    scratch: &mut Scratch,
) -> candle_core::Result<f64> {
    let (mut our_seconds, mut their_seconds) = (0.0, 0.0);
    let texts = set.texts().map(TextSet::timing).unwrap_or_default();
    let all = set.timing_packs().map(Work::Pack).chain(texts.into_iter().map(Work::Text));
    for (turn, work) in all.enumerate() {
        if turn == 0 {
            // Untimed: the first pass of all grows the buffers.
            work.seconds(theirs, scratch)?;
        }
        // Whoever runs second finds the documents in the cache: each goes first every other time.
        if turn % 2 == 0 {
            their_seconds += work.seconds(theirs, scratch)?;
            our_seconds += work.seconds(ours, scratch)?;
        } else {
            our_seconds += work.seconds(ours, scratch)?;
            their_seconds += work.seconds(theirs, scratch)?;
        }
    }
    Ok(our_seconds / their_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_models_of_a_graph_are_timed_and_then_one_in_twenty() {
        let times = RelativeTimes::default();
        let (graph, other) = ((1, Split::Search), (1, Split::Holdout));
        for time in [1.0, 1.5, 1.1, 1.3, 9.0] {
            assert_eq!(times.expected(&graph), None);
            times.add(&graph, time);
        }
        let given: Vec<Option<f64>> = (5..40).map(|_| times.expected(&graph)).collect();
        let timed: Vec<usize> = (0..35).filter(|&index| given[index].is_none()).collect();
        assert_eq!(timed, [14, 34], "the 20th and the 40th");
        assert_eq!(given[0], Some(1.3));
        times.add(&graph, 1.2);
        assert_eq!(times.expected(&graph), Some(1.25), "the mean of the middle two of six");
        assert_eq!(times.expected(&other), None);
    }
}
