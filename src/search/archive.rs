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
    /// Raced trials → seconds of merging and scoring in all rungs so far; `None`: infeasible.
    raced: BTreeMap<u64, Option<f64>>,
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
            raced: BTreeMap::new(),
            candidates: 0,
            infeasible: 0,
            seconds: 0.0,
            timed: 0,
            slowest_merge: Seconds(0.0),
        }
    }

    /// Takes in a trial whose model has `layers` layers. Only rows on the search split count.
    pub fn add(&mut self, trial: &Trial, layers: usize) {
        if trial.split != Split::Search {
            return;
        }
        let again = self.forget_rung_before(trial);
        if trial.kind == TrialKind::Candidate {
            self.candidates += u64::from(!again);
            self.last = self.last.max(Some((trial.trial, trial.generation)));
        }
        let (Some(evaluation), Some(objective)) = (trial.outcome.evaluation(), trial.objective)
        else {
            self.infeasible += u64::from(trial.kind == TrialKind::Candidate);
            return;
        };
        self.seconds += evaluation.merge_seconds.0 + evaluation.score_seconds.0;
        self.timed += 1;
        self.slowest_merge.0 = self.slowest_merge.0.max(evaluation.merge_seconds.0);
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

    /// A raced trial has a row per rung, of which the last stands for it: takes back what was counted of the one before,
    /// and gives whether there was one. (Its contribution to the graphs is replaced in [`Archive::add_graph`].)
    fn forget_rung_before(&mut self, trial: &Trial) -> bool {
        if trial.docs.is_none() && trial.rung == 0 {
            return false;
        }
        let evaluation = trial.outcome.evaluation();
        let seconds = evaluation.map(|own| own.merge_seconds.0 + own.score_seconds.0);
        let before = self.raced.insert(trial.trial, seconds);
        match before {
            Some(Some(seconds)) => {
                self.seconds -= seconds;
                self.timed -= 1;
                self.contenders.retain(|contender| contender.trial != trial.trial);
            }
            Some(None) => self.infeasible -= u64::from(trial.kind == TrialKind::Candidate),
            None => {}
        }
        before.is_some()
    }

    fn add_graph(&mut self, trial: &Trial, objective: Estimate, time: f64, layers: usize) {
        let graph = if self.with_time { layers } else { 0 };
        let (best, times) = self.graphs.entry(graph).or_insert_with(|| (trial.clone(), Vec::new()));
        times.push(time);
        // Trials finish in any order: the earlier one wins a tie whichever came in first.
        let cautious = self.cautious;
        let rank = |trial: &Trial, score| (merit(score, cautious), std::cmp::Reverse(trial.trial));
        let ours = rank(trial, objective);
        let same = best.trial == trial.trial;
        if same || best.objective.is_none_or(|old| ours > rank(best, old)) {
            *best = trial.clone();
        }
    }

    fn add_contender(&mut self, contender: Contender) {
        // A converged or purely categorical search asks for the same genotype again.
        if let Some(same) = self.contenders.iter_mut().find(|c| c.genotype == contender.genotype) {
            if contender.trial < same.trial {
                *same = contender;
            }
            return;
        }
        let better = |other: &Contender| {
            let merit = |contender: &Contender| merit(contender.objective, self.cautious);
            let (theirs, ours) = (merit(other), merit(&contender));
            theirs > ours || (theirs == ours && other.trial < contender.trial)
        };
        let place = self.contenders.partition_point(better);
        self.contenders.insert(place, contender);
        self.contenders.truncate(self.keep);
    }

    /// The best candidates on the search split, best first.
    pub fn contenders(&self) -> &[Contender] {
        &self.contenders
    }

    /// Objective on the search split of a contender, a baseline or the recommendation.
    pub fn objective_of(&self, trial: u64) -> Option<Estimate> {
        let contender = self.contenders.iter().find(|contender| contender.trial == trial);
        contender.map(|contender| contender.objective).or(self.others.get(&trial).copied())
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
