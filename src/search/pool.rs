//! Models that do the same work, and the time that they have in common.
//!
//! A candidate's time is measured once, among others that are scored at the same time: it is noise around what its inference
//! graph takes. What it counts (operations and bytes) is exact. So the times of all models that count the same are pooled.

use std::collections::BTreeMap;

use crate::objective::Constraints;
use crate::outcome::{Cost, Evaluation};
use crate::space::{Objective, SearchSpace};
use crate::units::Split;

/// What candidates are compared by.
#[derive(Debug, Clone, Default)]
pub(super) struct Axes {
    /// Accuracy first; empty: accuracy alone.
    pub objectives: Vec<Objective>,
    pub constraints: Constraints,
    /// Whether candidates can do different work but by their number of layers. Where they cannot, what is counted differs with
    /// the documents alone that a race has shown to a candidate.
    pub varied: bool,
}

impl Axes {
    pub fn of(space: &SearchSpace) -> Self {
        let varied = space.routing.varies_time();
        Self { objectives: space.objectives.clone(), constraints: space.constraints, varied }
    }

    /// Whether it matters which models do the same work.
    pub fn tells_graphs_apart(&self) -> bool {
        self.objectives.len() > 1 || !self.constraints.is_empty()
    }

    /// Of those besides accuracy.
    pub fn others(&self) -> impl Iterator<Item = Objective> + '_ {
        self.objectives.iter().skip(1).copied()
    }
}

/// What models with the same inference graph have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Graph {
    /// Where nothing but accuracy counts.
    Any,
    /// So many layers, of a model whose cost was not counted.
    Layers(usize),
    /// So many bytes of weights, and the logarithm of the operations per document in steps of [`STEP`].
    Counted { weight_bytes: u64, flops: i64 },
}

/// Operations per document that are closer than this are the same: texts that end a little earlier make no other graph.
const STEP: f64 = 1.01;

impl Graph {
    pub fn of(cost: Cost, layers: usize) -> Graph {
        if cost.flops_per_item > 0.0 {
            let flops = (cost.flops_per_item.ln() / STEP.ln()).round() as i64;
            Graph::Counted { weight_bytes: cost.weight_bytes.0, flops }
        } else {
            Graph::Layers(layers)
        }
    }
}

/// Times of each graph, and the base model's costs.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    axes: Axes,
    /// Ascending.
    times: BTreeMap<Graph, Vec<f64>>,
    /// Of the base model on search, selection and holdout.
    base: [Option<Cost>; 3],
    base_graph: Option<Graph>,
}

impl Pool {
    pub fn new(axes: Axes) -> Self {
        Self { axes, ..Self::default() }
    }

    pub fn axes(&self) -> &Axes {
        &self.axes
    }

    pub fn graph(&self, cost: Cost, layers: usize) -> Graph {
        match self.axes.tells_graphs_apart() {
            true if self.axes.varied => Graph::of(cost, layers),
            true => Graph::Layers(layers),
            false => Graph::Any,
        }
    }

    /// Takes in the base model's cost on `split`.
    pub fn add_base(&mut self, split: Split, cost: Cost, layers: usize) {
        self.base[split as usize] = Some(cost);
        if split == Split::Search {
            self.base_graph = Some(self.graph(cost, layers));
        }
    }

    pub fn add(&mut self, graph: Graph, time: f64) {
        let times = self.times.entry(graph).or_default();
        let place = times.partition_point(|other| other.total_cmp(&time).is_lt());
        times.insert(place, time);
    }

    /// Median of the times of a graph, the base model's = 1. What is counted like the base model takes as long as it, so that
    /// there no noise remains.
    pub fn relative_time(&self, graph: Graph) -> Option<f64> {
        if matches!(graph, Graph::Counted { .. }) && self.base_graph == Some(graph) {
            return Some(1.0);
        }
        let times = self.times.get(&graph)?;
        let upper = times.get(times.len() / 2)?;
        let lower = times.get(times.len().saturating_sub(1) / 2)?;
        Some((lower + upper) / 2.0)
    }

    /// The base model's = 1; 1 where nothing was counted.
    pub fn relative_memory(&self, cost: Cost) -> f64 {
        match self.base[Split::Search as usize] {
            Some(base) if base.weight_bytes.0 > 0 => {
                cost.weight_bytes.0 as f64 / base.weight_bytes.0 as f64
            }
            _ => 1.0,
        }
    }

    /// A cost besides accuracy, of a graph with a model that costs `cost`.
    pub fn value(&self, objective: Objective, graph: Graph, cost: Cost) -> f64 {
        match objective {
            Objective::Aggregate => 0.0,
            Objective::RelativeTime => self.relative_time(graph).unwrap_or(f64::INFINITY),
            Objective::RelativeMemory => self.relative_memory(cost),
        }
    }

    /// By what the limits are passed; 0 where they are kept.
    pub fn excess(&self, graph: Graph, cost: Cost) -> f64 {
        if self.axes.constraints.is_empty() {
            return 0.0;
        }
        let time = self.relative_time(graph).unwrap_or(f64::INFINITY);
        self.axes.constraints.excess(time, self.relative_memory(cost))
    }

    /// The same of a model that was scored on `split`, whose documents take another number of operations. A graph that no
    /// trial on the search split had has the time that was measured of this one.
    pub fn excess_on(&self, split: Split, evaluation: &Evaluation, layers: usize) -> f64 {
        if self.axes.constraints.is_empty() {
            return 0.0;
        }
        let of_base = |split: Split| self.base[split as usize].map(|cost| cost.flops_per_item);
        let scale = match (of_base(Split::Search), of_base(split)) {
            (Some(search), Some(there)) if there > 0.0 => search / there,
            _ => 1.0,
        };
        let flops_per_item = evaluation.cost.flops_per_item * scale;
        let graph = self.graph(Cost { flops_per_item, ..evaluation.cost }, layers);
        let time = self.relative_time(graph).unwrap_or(evaluation.relative_time);
        self.axes.constraints.excess(time, self.relative_memory(evaluation.cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn cost(flops_per_item: f64, weight_bytes: u64) -> Cost {
        Cost { flops_per_item, weight_bytes: Bytes(weight_bytes) }
    }

    fn pool(constraints: Constraints) -> Pool {
        let objectives = vec![Objective::Aggregate, Objective::RelativeTime];
        let mut pool = Pool::new(Axes { objectives, constraints, varied: true });
        pool.add_base(Split::Search, cost(1000.0, 80), 4);
        pool
    }

    #[test]
    fn times_of_one_graph_are_pooled_in_any_order() {
        let of = |order: [usize; 5]| {
            let mut pool = pool(Constraints::default());
            let measured = [(500.0, 0.4), (501.0, 0.7), (500.0, 0.5), (700.0, 0.8), (500.0, 0.6)];
            for index in order {
                let (flops, time) = measured[index];
                pool.add(pool.graph(cost(flops, 60), 3), time);
            }
            [500.0, 700.0, 900.0].map(|flops| pool.relative_time(pool.graph(cost(flops, 60), 3)))
        };
        // Median of 0.4, 0.5, 0.6 and 0.7; two per thousand of the operations make no difference.
        let expected = [Some(0.55), Some(0.8), None];
        assert_eq!(of([0, 1, 2, 3, 4]), expected);
        assert_eq!(of([4, 3, 2, 1, 0]), expected);
    }

    #[test]
    fn what_counts_like_the_base_model_takes_as_long() {
        let mut pool = pool(Constraints::default());
        let graph = pool.graph(cost(1000.0, 80), 4);
        pool.add(graph, 1.07);
        assert_eq!(pool.relative_time(graph), Some(1.0));
        // More bytes: another graph.
        assert_eq!(pool.relative_time(pool.graph(cost(1000.0, 120), 4)), None);
        assert_eq!(pool.relative_memory(cost(1000.0, 120)), 1.5);
    }

    /// Selection has documents of twice the length: 1000 operations there are 500 on search.
    #[test]
    fn limits_hold_on_other_splits_by_the_pooled_time() {
        let limits = Constraints { max_relative_time: Some(0.5), max_relative_memory: None };
        let mut pool = pool(limits);
        pool.add_base(Split::Selection, cost(2000.0, 80), 4);
        pool.add(pool.graph(cost(500.0, 60), 3), 0.6);
        let measured = |flops, relative_time| Evaluation {
            tasks: Vec::new(),
            merge_seconds: crate::units::Seconds(0.0),
            score_seconds: crate::units::Seconds(0.0),
            seconds_per_item: crate::units::Seconds(0.0),
            relative_time,
            peak_bytes: Bytes(0),
            cost: cost(flops, 60),
        };
        let excess = |evaluation| pool.excess_on(Split::Selection, &evaluation, 3);
        assert!((excess(measured(1000.0, 0.4)) - 0.2).abs() < 1e-12, "0.6 of 0.5");
        assert_eq!(excess(measured(500.0, 0.4)), 0.0, "no other has that graph");
        assert_eq!(excess(measured(500.0, 0.75)), 0.5);
    }
}
