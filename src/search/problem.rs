//! The search as argmin sees it: a cost function that scores one generation at a time.

use std::borrow::Borrow;
use std::sync::atomic::{AtomicU64, Ordering};

use argmin::core::{CostFunction, Error, SyncAlias};

use super::budget::Deadline;
use super::session::{Job, Session};
use super::{EXPECTED_FLOOR, SearchError};
use crate::genome::Genotype;
use crate::objective::TieBreak;
use crate::optimizer::Costs;
use crate::record::TrialKind;
use crate::units::{Seconds, Split};

/// Cost of a genotype = minus the objective of its recipe on the search split, and between equals minus the companion;
/// `None` = the budget ended before it.
pub(super) struct MergeProblem<'a> {
    session: &'a Session<'a>,
    deadline: Deadline,
    tie_break: TieBreak,
    /// Trials before the first candidate.
    baselines: u64,
    population: u64,
    generation: AtomicU64,
}

impl<'a> MergeProblem<'a> {
    pub fn new(
        session: &'a Session<'a>,
        deadline: Deadline,
        tie_break: TieBreak,
        baselines: usize,
        population: usize,
    ) -> Self {
        Self {
            session,
            deadline,
            tie_break,
            baselines: baselines as u64,
            population: population as u64,
            generation: AtomicU64::new(0),
        }
    }

    fn job(&self, generation: u64, index: usize, genotype: &Genotype) -> Job {
        Job {
            trial: self.baselines + (generation - 1) * self.population + index as u64,
            name: None,
            generation,
            kind: TrialKind::Candidate,
            split: Split::Search,
            rung: 0,
            docs: None,
            recipe: self.session.decoder.decode(genotype),
            genotype: Some(genotype.clone()),
        }
    }

    /// What is recorded is never scored again; what is not starts only while the budget allows.
    fn candidate_cost(&self, job: &Job) -> Result<Option<Costs>, SearchError> {
        if self.session.is_recorded(job) || (self.session.may_score(job)? && self.fits(job)) {
            let trial = self.session.trial(job, None)?;
            let score = trial.objective.map(|objective| objective.value);
            return Ok(Some(self.tie_break.cost(score, trial.companion).into()));
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
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let jobs: Vec<Job> = genotypes
            .iter()
            .enumerate()
            .map(|(index, genotype)| self.job(generation, index, genotype.borrow()))
            .collect();
        let costs = self
            .session
            .workers
            .map(&jobs, |_, job| self.candidate_cost(job))
            .into_iter()
            .collect::<Result<Vec<_>, SearchError>>()?;
        if jobs.iter().any(|job| !self.session.is_recorded(job)) {
            self.session.write_front()?;
        }
        Ok(costs)
    }
}
