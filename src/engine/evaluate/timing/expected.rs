//! Times of models in a search, by what they compute.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::median::median;
use crate::evaluate::fingerprint::Fingerprint;
use crate::units::Split;

/// So many models of an inference graph are timed before a median stands for the next.
const FIRST: usize = 5;
/// From then on one of so many is timed.
const EVERY: usize = 20;
/// Models that read alike much, in this part of what the base model reads, are alike.
const SHARES: usize = 20;

/// Relative times of models by what they compute.
///
/// Timing takes a twentieth of a whole split's scoring for each of two models: nothing beside the split, but as long as
/// scoring a small part of it. Networks of the same spec that read as much do the same work whatever their weights, so where
/// only a part of a split is scored most candidates are given the median of what was measured of their like.
#[derive(Default)]
pub(super) struct RelativeTimes(Mutex<BTreeMap<Graph, Times>>);

/// What a model computes, in which split, and how much of what the base model reads there: in twentieths.
pub(super) type Graph = (Fingerprint, Split, usize);

#[derive(Default)]
struct Times {
    asked: usize,
    measured: Vec<f64>,
}

/// `own` tokens as a share of the base model's, in twentieths.
pub(super) fn share(own: usize, base: usize) -> usize {
    (SHARES * own + base / 2) / base.max(1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_models_of_a_graph_are_timed_and_then_one_in_twenty() {
        let times = RelativeTimes::default();
        let (graph, other) = ((1, Split::Search, 20), (1, Split::Holdout, 20));
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
        assert_eq!(times.expected(&(1, Split::Search, 10)), None, "half of the documents");
    }
}
