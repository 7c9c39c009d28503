//! What the search remembers of its trials: enough for finalists, front and progress, whatever their number.

use std::collections::BTreeMap;

use crate::genome::Genotype;
use crate::objective::{Point, pareto_front, pooled_times};
use crate::outcome::Estimate;
use crate::record::{Trial, TrialKind};
use crate::units::{Seconds, Split};

/// A trial on the Pareto front and its time pooled over all trials of the same inference graph.
#[derive(Debug, Clone)]
pub struct FrontMember {
    pub trial: Trial,
    pub pooled_time: f64,
}

/// A candidate that may be scored again on the selection split.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    pub trial: u64,
    pub generation: u64,
    pub objective: Estimate,
    pub genotype: Genotype,
}

/// Trials on the search split, condensed.
#[derive(Debug)]
pub(super) struct Archive {
    /// How many contenders are kept.
    keep: usize,
    /// Best first; of equal ones the earlier trial first.
    contenders: Vec<Contender>,
    /// Inference graph → its most accurate trial and every measured relative time. Models with the same graph do the
    /// same work, so of each graph only the most accurate one can be on the front.
    graphs: BTreeMap<usize, (Trial, Vec<f64>)>,
    with_time: bool,
    /// Whether trials are ranked by the lower ends of their intervals: where they have seen different numbers of documents,
    /// the best score would be that of few.
    cautious: bool,
    /// Baselines and the optimizer's recommendation.
    others: BTreeMap<u64, Estimate>,
    /// Number and generation of the last candidate.
    last: Option<(u64, u64)>,
    /// The last row of each raced trial that is not ranked yet, with the layers of its model. They are ranked together and in
    /// order, so that nothing depends on which of them was scored first.
    unranked: BTreeMap<u64, (Trial, usize)>,
    candidates: u64,
    infeasible: u64,
    seconds: f64,
    timed: u64,
    slowest_merge: Seconds,
}

impl Archive {
    /// `with_time`: whether time is an objective; `raced`: whether trials see parts of the split.
    pub fn new(keep: usize, with_time: bool, raced: bool) -> Self {
        Self {
            keep,
            contenders: Vec::new(),
            graphs: BTreeMap::new(),
            with_time,
            cautious: raced,
            others: BTreeMap::new(),
            last: None,
            unranked: BTreeMap::new(),
            candidates: 0,
            infeasible: 0,
            seconds: 0.0,
            timed: 0,
            slowest_merge: Seconds(0.0),
        }
    }

    /// Takes in a trial whose model has `layers` layers. Only rows on the search split count. A candidate that races has a
    /// row per rung, each with all that is known of it; it is ranked by the last one, at [`rank_raced`](Self::rank_raced).
    pub fn add(&mut self, trial: &Trial, layers: usize) {
        if trial.split != Split::Search {
            return;
        }
        let before = self.unranked.remove(&trial.trial).map(|(before, _)| before);
        self.add_time(trial, before.as_ref());
        if trial.kind == TrialKind::Candidate {
            self.candidates += u64::from(before.is_none());
            self.last = self.last.max(Some((trial.trial, trial.generation)));
        }
        if trial.kind == TrialKind::Candidate && trial.docs.is_some() {
            self.unranked.insert(trial.trial, (trial.clone(), layers));
        } else {
            self.rank(trial, layers);
        }
    }

    /// Ranks the candidates that have raced since the last time: their generation is over.
    pub fn rank_raced(&mut self) {
        for (trial, layers) in std::mem::take(&mut self.unranked).into_values() {
            self.rank(&trial, layers);
        }
    }

    /// Of a row that goes on from `before`, what was added.
    fn add_time(&mut self, trial: &Trial, before: Option<&Trial>) {
        let times = |trial: &Trial| {
            let known = trial.outcome.evaluation()?;
            Some((known.merge_seconds.0, known.score_seconds.0))
        };
        let Some((merge, score)) = times(trial) else { return };
        let (merged, scored) = before.and_then(times).unwrap_or((0.0, 0.0));
        self.seconds += merge - merged + score - scored;
        self.timed += u64::from(before.is_none());
        self.slowest_merge.0 = self.slowest_merge.0.max(merge - merged);
    }

    fn rank(&mut self, trial: &Trial, layers: usize) {
        let (Some(evaluation), Some(objective)) = (trial.outcome.evaluation(), trial.objective)
        else {
            self.infeasible += u64::from(trial.kind == TrialKind::Candidate);
            return;
        };
        self.add_graph(trial, objective, evaluation.relative_time, layers);
        if let (TrialKind::Candidate, Some(genotype)) = (trial.kind, &trial.genotype) {
            self.add_contender(Contender {
                trial: trial.trial,
                generation: trial.generation,
                objective,
                genotype: genotype.clone(),
            });
        } else {
            self.others.insert(trial.trial, objective);
        }
    }

    fn add_graph(&mut self, trial: &Trial, objective: Estimate, time: f64, layers: usize) {
        let graph = if self.with_time { layers } else { 0 };
        let (best, times) = self.graphs.entry(graph).or_insert_with(|| (trial.clone(), Vec::new()));
        times.push(time);
        // Trials finish in any order: the earlier one wins a tie whichever came in first.
        let cautious = self.cautious;
        let rank = |trial: &Trial, score| (merit(score, cautious), std::cmp::Reverse(trial.trial));
        let ours = rank(trial, objective);
        if best.objective.is_none_or(|old| ours > rank(best, old)) {
            *best = trial.clone();
        }
    }

    fn add_contender(&mut self, contender: Contender) {
        let cautious = self.cautious;
        let merit = |contender: &Contender| merit(contender.objective, cautious);
        let better = |other: &Contender| {
            let (theirs, ours) = (merit(other), merit(&contender));
            theirs > ours || (theirs == ours && other.trial < contender.trial)
        };
        // A converged or purely categorical search asks for the same genotype again.
        if let Some(same) = self.contenders.iter().position(|c| c.genotype == contender.genotype) {
            if better(&self.contenders[same]) {
                return;
            }
            self.contenders.remove(same);
        }
        let place = self.contenders.partition_point(better);
        self.contenders.insert(place, contender);
        self.contenders.truncate(self.keep);
    }

    /// The best candidates on the search split, best first.
    pub fn contenders(&self) -> &[Contender] {
        &self.contenders
    }

    /// Objective on the search split of a baseline, a recommendation or the winner, or else of a contender.
    pub fn objective_of(&self, trial: u64) -> Option<Estimate> {
        let contender = self.contenders.iter().find(|contender| contender.trial == trial);
        let whole = self.others.get(&trial).copied();
        whole.or_else(|| contender.map(|contender| contender.objective))
    }

    /// Number and generation of the last candidate scored.
    pub fn last_candidate(&self) -> Option<(u64, u64)> {
        self.last
    }

    /// The non-dominated trials, fastest first.
    pub fn front(&self) -> Vec<FrontMember> {
        let best: Vec<_> = self.graphs.values().map(|(trial, _)| trial).collect();
        let measured: Vec<(usize, f64)> = self
            .graphs
            .iter()
            .flat_map(|(graph, (_, times))| times.iter().map(|time| (*graph, *time)))
            .collect();
        let pooled: BTreeMap<usize, f64> = measured
            .iter()
            .zip(pooled_times(&measured))
            .map(|((graph, _), time)| (*graph, time))
            .collect();
        let times: Vec<f64> = pooled.into_values().collect();
        let points: Vec<Point> = best
            .iter()
            .zip(&times)
            .map(|(trial, &time)| Point {
                accuracy: trial.objective.map_or(f64::NAN, |score| merit(score, self.cautious)),
                time,
            })
            .collect();
        pareto_front(&points)
            .into_iter()
            .map(|i| FrontMember { trial: best[i].clone(), pooled_time: times[i] })
            .collect()
    }

    /// Number of non-dominated trials.
    pub fn front_size(&self) -> usize {
        if self.graphs.len() < 2 { self.graphs.len() } else { self.front().len() }
    }

    /// Best objective so far.
    pub fn best(&self) -> Option<Estimate> {
        let objectives = self.graphs.values().filter_map(|(trial, _)| trial.objective);
        objectives.max_by(|a, b| merit(*a, self.cautious).total_cmp(&merit(*b, self.cautious)))
    }

    /// Candidates scored, infeasible ones included.
    pub fn candidates(&self) -> u64 {
        self.candidates
    }

    /// Candidates that could not be merged or scored.
    pub fn infeasible(&self) -> u64 {
        self.infeasible
    }

    /// Time of the slowest merge so far.
    pub fn slowest_merge(&self) -> Seconds {
        self.slowest_merge
    }

    /// Mean time of one trial on the search split, on one worker.
    pub fn seconds_per_trial(&self) -> Option<Seconds> {
        (self.timed > 0).then(|| Seconds(self.seconds / self.timed as f64))
    }
}

/// What trials are ranked by.
fn merit(score: Estimate, cautious: bool) -> f64 {
    if cautious { score.low } else { score.value }
}
