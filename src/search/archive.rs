//! What the search remembers of its trials: enough for finalists, front and progress, whatever their number.

use std::collections::BTreeMap;

use super::pool::{Axes, Graph, Pool};
use crate::genome::Genotype;
use crate::objective::ParetoArchive;
use crate::outcome::{Cost, Estimate};
use crate::record::{FrontRow, Trial, TrialKind};
use crate::units::{Seconds, Split};

/// A model on the front of the search split, or a baseline.
#[derive(Debug, Clone)]
pub(super) struct FrontMember {
    pub model: Model,
    /// See [`Pool::relative_time`].
    pub relative_time: f64,
}

/// A trial, condensed.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub trial: u64,
    pub name: Option<String>,
    pub generation: u64,
    /// On the search split.
    pub objective: Estimate,
    pub cost: Cost,
    pub recipe: String,
    /// `None`: a baseline.
    pub genotype: Option<Genotype>,
}

/// A candidate that may be scored again on the selection split.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    pub trial: u64,
    pub generation: u64,
    pub objective: Estimate,
    pub genotype: Genotype,
}

/// The best of the models that do the same work: of them only the most accurate one can be on the front.
#[derive(Debug)]
struct Class {
    best: Model,
    /// Best first; of equal ones the earlier trial first.
    contenders: Vec<Contender>,
    /// How many there were.
    candidates: u64,
}

/// Trials on the search split, condensed.
#[derive(Debug)]
pub(super) struct Archive {
    /// How many contenders are kept.
    keep: usize,
    classes: BTreeMap<Graph, Class>,
    pool: Pool,
    /// By number.
    baselines: BTreeMap<u64, (Model, Graph)>,
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
    /// `raced`: whether trials see parts of the split.
    pub fn new(keep: usize, axes: Axes, raced: bool) -> Self {
        Self {
            keep,
            classes: BTreeMap::new(),
            pool: Pool::new(axes),
            baselines: BTreeMap::new(),
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
        if let (TrialKind::Baseline, 0, Some(base)) =
            (trial.kind, trial.trial, trial.outcome.evaluation())
        {
            self.pool.add_base(trial.split, base.cost, layers);
        }
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
        let graph = self.pool.graph(evaluation.cost, layers);
        self.pool.add(graph, evaluation.relative_time);
        let model = Model {
            trial: trial.trial,
            name: trial.name.clone(),
            generation: trial.generation,
            objective,
            cost: evaluation.cost,
            recipe: trial.recipe.clone(),
            genotype: trial.genotype.clone(),
        };
        if trial.kind == TrialKind::Baseline {
            self.baselines.insert(trial.trial, (model.clone(), graph));
        }
        self.add_model(graph, model);
        if let (TrialKind::Candidate, Some(genotype)) = (trial.kind, &trial.genotype) {
            let contender = Contender {
                trial: trial.trial,
                generation: trial.generation,
                objective,
                genotype: genotype.clone(),
            };
            self.add_contender(graph, contender);
        } else {
            self.others.insert(trial.trial, objective);
        }
    }

    fn add_model(&mut self, graph: Graph, model: Model) {
        let cautious = self.cautious;
        // Trials finish in any order: the earlier one wins a tie whichever came in first.
        let rank =
            |model: &Model| (merit(model.objective, cautious), std::cmp::Reverse(model.trial));
        match self.classes.get_mut(&graph) {
            Some(class) if rank(&model) > rank(&class.best) => class.best = model,
            Some(_) => {}
            None => {
                self.classes
                    .insert(graph, Class { best: model, contenders: Vec::new(), candidates: 0 });
            }
        }
    }

    fn add_contender(&mut self, graph: Graph, contender: Contender) {
        let (cautious, keep) = (self.cautious, self.keep);
        if let Some(class) = self.classes.get_mut(&graph) {
            place(&mut class.contenders, contender, cautious);
            class.candidates += 1;
            class.contenders.truncate(keep);
        }
    }

    /// What is known of the costs of the trials so far.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Of how many kinds the models are that do not do the same work.
    pub fn graphs(&self) -> usize {
        self.classes.len()
    }

    /// Whose models keep the limits.
    fn kept(&self) -> impl Iterator<Item = (Graph, &Class)> {
        let excess = |graph: Graph, class: &Class| self.pool.excess(graph, class.best.cost);
        let classes = self.classes.iter().map(|(graph, class)| (*graph, class));
        classes.filter(move |(graph, class)| excess(*graph, class) == 0.0)
    }

    /// The best candidates on the search split that keep the limits, best first.
    pub fn contenders(&self) -> Vec<Contender> {
        let mut contenders = Vec::new();
        for contender in self.kept().flat_map(|(_, class)| &class.contenders) {
            place(&mut contenders, contender.clone(), self.cautious);
        }
        contenders.truncate(self.keep);
        contenders
    }

    /// A candidate of this genotype, if it is among the best of those that do the same work.
    pub fn known(&self, genotype: &Genotype) -> Option<&Contender> {
        let all = self.classes.values().flat_map(|class| &class.contenders);
        all.filter(|contender| contender.genotype == *genotype).min_by_key(|known| known.trial)
    }

    /// Objective on the search split of a baseline, a recommendation or the winner, or else of a contender.
    pub fn objective_of(&self, trial: u64) -> Option<Estimate> {
        let mut contenders = self.classes.values().flat_map(|class| &class.contenders);
        let contender = contenders.find(|contender| contender.trial == trial);
        let whole = self.others.get(&trial).copied();
        whole.or_else(|| contender.map(|contender| contender.objective))
    }

    /// Whether a baseline keeps the limits.
    pub fn baseline_keeps_limits(&self, trial: u64) -> bool {
        let excess = |(model, graph): &(Model, Graph)| self.pool.excess(*graph, model.cost);
        self.baselines.get(&trial).is_none_or(|known| excess(known) == 0.0)
    }

    /// Whether one of the best candidates passes a limit.
    pub fn is_beyond_limits(&self, trial: u64) -> bool {
        let mut classes = self.classes.iter();
        let of_trial = classes.find(|(_, class)| class.contenders.iter().any(|c| c.trial == trial));
        of_trial.is_some_and(|(graph, class)| self.pool.excess(*graph, class.best.cost) > 0.0)
    }

    /// Candidates that pass a limit.
    pub fn beyond_limits(&self) -> u64 {
        let all: u64 = self.classes.values().map(|class| class.candidates).sum();
        all - self.kept().map(|(_, class)| class.candidates).sum::<u64>()
    }

    /// Number and generation of the last candidate scored.
    pub fn last_candidate(&self) -> Option<(u64, u64)> {
        self.last
    }

    /// The non-dominated models that keep the limits, fastest first.
    pub fn front(&self) -> Vec<FrontMember> {
        let axes = self.pool.axes();
        let mut front = ParetoArchive::new(axes.objectives.len().max(1));
        for (graph, class) in self.kept() {
            let best = &class.best;
            let others = axes.others().map(|axis| self.pool.value(axis, graph, best.cost));
            let accuracy = -merit(best.objective, self.cautious);
            let costs: Vec<f64> = std::iter::once(accuracy).chain(others).collect();
            front.insert(&costs, (graph, best));
        }
        let member = |(graph, best): &(Graph, &Model)| self.member(*graph, best);
        let mut members: Vec<FrontMember> =
            front.front().into_iter().map(|(_, item)| member(item)).collect();
        members.sort_by(|a, b| {
            let by_time = a.relative_time.total_cmp(&b.relative_time);
            by_time.then(a.model.trial.cmp(&b.model.trial))
        });
        members
    }

    fn member(&self, graph: Graph, model: &Model) -> FrontMember {
        let relative_time = self.pool.relative_time(graph).unwrap_or(f64::INFINITY);
        FrontMember { model: model.clone(), relative_time }
    }

    /// Front and baselines as they stand on the search split, by ascending time.
    pub fn front_rows(&self) -> Vec<FrontRow> {
        let front = self.front();
        let is_member = |trial: u64| front.iter().any(|member| member.model.trial == trial);
        let baselines = self.baselines.values().filter(|(model, _)| !is_member(model.trial));
        let baselines = baselines.map(|(model, graph)| self.member(*graph, model).row(false));
        let mut rows: Vec<FrontRow> =
            front.iter().map(|member| member.row(true)).chain(baselines).collect();
        rows.sort_by(by_time);
        rows
    }

    /// Number of non-dominated trials.
    pub fn front_size(&self) -> usize {
        if self.classes.len() < 2 { self.classes.len() } else { self.front().len() }
    }

    /// Best objective so far of those that keep the limits.
    pub fn best(&self) -> Option<Estimate> {
        let objectives = self.kept().map(|(_, class)| class.best.objective);
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

impl FrontMember {
    fn row(&self, member: bool) -> FrontRow {
        FrontRow {
            trial: self.model.trial,
            name: self.model.name.clone(),
            member,
            objectives: [Some(self.model.objective), None, None],
            relative_time: self.relative_time,
            timing: None,
            cost: self.model.cost,
            recipe: self.model.recipe.clone(),
        }
    }
}

/// The order of `front.parquet`.
pub(super) fn by_time(a: &FrontRow, b: &FrontRow) -> std::cmp::Ordering {
    a.relative_time.total_cmp(&b.relative_time).then(a.trial.cmp(&b.trial))
}

/// Puts `contender` where it belongs, best first; of the same genotype the better stays. A converged or purely categorical
/// search asks for the same genotype again.
fn place(contenders: &mut Vec<Contender>, contender: Contender, cautious: bool) {
    let merit = |contender: &Contender| merit(contender.objective, cautious);
    let better = |other: &Contender| {
        let (theirs, ours) = (merit(other), merit(&contender));
        theirs > ours || (theirs == ours && other.trial < contender.trial)
    };
    if let Some(same) = contenders.iter().position(|c| c.genotype == contender.genotype) {
        if better(&contenders[same]) {
            return;
        }
        contenders.remove(same);
    }
    let place = contenders.partition_point(better);
    contenders.insert(place, contender);
}

/// What trials are ranked by.
fn merit(score: Estimate, cautious: bool) -> f64 {
    if cautious { score.low } else { score.value }
}
