//! The search as argmin sees it: a cost function that scores one generation at a time.

use std::borrow::Borrow;
use std::sync::{Mutex, PoisonError};

use argmin::core::{CostFunction, Error, SyncAlias};

use super::budget::Deadline;
use super::pool::Pool;
use super::session::{Job, Session};
use super::{EXPECTED_FLOOR, SearchError};
use crate::genome::Genotype;
use crate::objective::TieBreak;
use crate::optimizer::Costs;
use crate::outcome::DocSubset;
use crate::race::{Race, Scored};
use crate::record::{Trial, TrialKind};
use crate::units::{Seconds, Split};

/// Cost of a genotype = minus the objective of its recipe on the search split, and between equals minus the companion; in a
/// race, on the documents that it came to. Then time and memory, where they are objectives. `None` = the budget ended before it.
pub(super) struct MergeProblem<'a> {
    session: &'a Session<'a>,
    deadline: Deadline,
    tie_break: TieBreak,
    /// Trials before the first candidate.
    baselines: u64,
    asked: Mutex<Asked>,
    /// `None`: every candidate is scored on all documents.
    race: Option<Mutex<Race>>,
}

/// What was asked for so far.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    generations: u64,
    candidates: u64,
}

/// Above the cost of every raced candidate that keeps the limits.
const BELOW_ALL: f64 = 10.0;

/// What is scored of a candidate, and what is known of it.
type Rung = (Job, Option<Trial>);

impl<'a> MergeProblem<'a> {
    pub fn new(
        session: &'a Session<'a>,
        deadline: Deadline,
        tie_break: TieBreak,
        baselines: usize,
        race: Option<Race>,
    ) -> Self {
        Self {
            session,
            deadline,
            tie_break,
            baselines: baselines as u64,
            asked: Mutex::default(),
            race: race.map(Mutex::new),
        }
    }

    /// The next generation's jobs on `docs`.
    fn jobs<P: Borrow<Genotype>>(&self, genotypes: &[P], docs: Option<&DocSubset>) -> Vec<Rung> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.baselines + asked.candidates;
        asked.generations += 1;
        asked.candidates += genotypes.len() as u64;
        let job = |(trial, genotype): (u64, &P)| Job {
            trial,
            name: None,
            generation: asked.generations,
            kind: TrialKind::Candidate,
            split: Split::Search,
            rung: 0,
            docs: docs.cloned(),
            recipe: self.session.decoder.decode(genotype.borrow()),
            genotype: Some(genotype.borrow().clone()),
        };
        (first..).zip(genotypes).map(|own| (job(own), None)).collect()
    }

    /// Side by side, as far as the budget goes.
    fn score(&self, rungs: &[Rung]) -> Result<Vec<Option<Trial>>, SearchError> {
        let trials =
            self.session.workers.map(rungs, |_, (job, before)| self.trial(job, before.as_ref()));
        trials.into_iter().collect()
    }

    /// What is recorded is never scored again; what is not starts only while the budget allows.
    fn trial(&self, job: &Job, before: Option<&Trial>) -> Result<Option<Trial>, SearchError> {
        if self.session.is_recorded(job) || (self.session.may_score(job)? && self.fits(job)) {
            return self.session.trial(job, before).map(Some);
        }
        Ok(None)
    }

    fn fits(&self, job: &Job) -> bool {
        let (expected, merge) = {
            let archive = self.session.archive();
            (archive.seconds_per_trial(), archive.slowest_merge())
        };
        let expected = expected.unwrap_or(Seconds(EXPECTED_FLOOR));
        let index = job.trial - self.baselines;
        self.deadline.allows(index, self.session.clock.elapsed(), expected, merge)
    }

    /// Every candidate on every document.
    fn whole<P: Borrow<Genotype>>(
        &self,
        genotypes: &[P],
    ) -> Result<Vec<Option<Costs>>, SearchError> {
        let jobs = self.jobs(genotypes, None);
        let trials = self.score(&jobs)?;
        // With the generation's own times in it, whichever of its candidates was scored first.
        let archive = self.session.archive();
        let costs = |((job, _), trial): (&Rung, &Option<Trial>)| {
            let trial = trial.as_ref()?;
            Some(self.costs(archive.pool(), trial, self.session.layers_of(&job.recipe)))
        };
        Ok(jobs.iter().zip(&trials).map(costs).collect())
    }

    fn costs(&self, pool: &Pool, trial: &Trial, layers: usize) -> Costs {
        let objectives = pool.axes().objectives.len();
        let Some(evaluation) = trial.outcome.evaluation() else {
            let values = vec![f64::INFINITY; objectives.max(1)];
            return Costs { values, ..Costs::default() };
        };
        let graph = pool.graph(evaluation.cost, layers);
        let excess = pool.excess(graph, evaluation.cost);
        if excess > 0.0 {
            return Costs::violating(excess, objectives);
        }
        let score = trial.objective.map(|objective| objective.value);
        let mut costs = Costs::from(self.tie_break.cost(score, trial.companion));
        let others = pool.axes().others().map(|axis| pool.value(axis, graph, evaluation.cost));
        costs.values.extend(others);
        costs
    }

    /// Everybody on a first block of documents, who is not stopped on the rest.
    fn raced<P: Borrow<Genotype>>(
        &self,
        race: &mut Race,
        genotypes: &[P],
    ) -> Result<Vec<Option<Costs>>, SearchError> {
        let jobs = self.jobs(genotypes, Some(&race.first()));
        let mut trials = self.score(&jobs)?;
        let Some(early) = all_scored(&trials) else {
            return Ok(vec![None; trials.len()]);
        };
        if let Some((on, _)) = race.further(&early) {
            let all = race.all();
            let further = |index: &usize| further(jobs.get(*index)?, trials.get(*index)?, &all);
            let rungs: Vec<Rung> = on.iter().filter_map(further).collect();
            for (index, trial) in on.iter().zip(self.score(&rungs)?) {
                trials[*index] = trial;
            }
        }
        Ok(match all_scored(&trials) {
            Some(scored) => {
                let mut costs = race.finish(&scored);
                self.rank_violators_last(&jobs, &trials, &mut costs);
                costs.into_iter().map(Some).collect()
            }
            None => vec![None; trials.len()],
        })
    }

    /// Who passes a limit is worse than who was stopped.
    fn rank_violators_last(&self, jobs: &[Rung], trials: &[Option<Trial>], costs: &mut [Costs]) {
        let mut archive = self.session.archive();
        archive.rank_raced();
        let pool = archive.pool();
        for (((job, _), trial), costs) in jobs.iter().zip(trials).zip(costs) {
            let known = trial.as_ref().and_then(|trial| trial.outcome.evaluation());
            let excess = known.map_or(0.0, |known| {
                let graph = pool.graph(known.cost, self.session.layers_of(&job.recipe));
                pool.excess(graph, known.cost)
            });
            if excess > 0.0 {
                let cost = BELOW_ALL + excess;
                costs.values = vec![cost];
                costs.resamples.fill(cost);
                costs.estimate = Some(excess);
            }
        }
    }

    fn generation<P: Borrow<Genotype>>(
        &self,
        genotypes: &[P],
    ) -> Result<Vec<Option<Costs>>, SearchError> {
        match &self.race {
            Some(race) => {
                let mut race = race.lock().unwrap_or_else(PoisonError::into_inner);
                self.raced(&mut race, genotypes)
            }
            None => self.whole(genotypes),
        }
    }
}

/// Every candidate's scores; `None` if the budget ended before one of them.
fn all_scored(trials: &[Option<Trial>]) -> Option<Vec<Scored>> {
    let scored = |trial: &Trial| trial.outcome.evaluation().map(|known| known.tasks.clone());
    trials.iter().map(|trial| trial.as_ref().map(scored)).collect()
}

/// The next rung of a candidate that goes on to `all` documents.
fn further((job, _): &Rung, trial: &Option<Trial>, all: &DocSubset) -> Option<Rung> {
    let job = Job { rung: job.rung + 1, docs: Some(all.clone()), ..job.clone() };
    Some((job, Some(trial.clone()?)))
}

impl CostFunction for MergeProblem<'_> {
    type Param = Genotype;
    type Output = Option<Costs>;

    fn cost(&self, genotype: &Genotype) -> Result<Self::Output, Error> {
        let mut costs = self.bulk_cost(std::slice::from_ref(genotype))?;
        Ok(costs.pop().flatten())
    }

    /// Scores one generation, candidates side by side, and writes the front.
    fn bulk_cost<P>(&self, genotypes: &[P]) -> Result<Vec<Self::Output>, Error>
    where
        P: Borrow<Genotype> + SyncAlias,
    {
        let before = self.session.scored();
        let costs = self.generation(genotypes)?;
        self.session.archive().rank_raced();
        if self.session.scored() > before {
            self.session.write_front()?;
        }
        Ok(costs)
    }
}
