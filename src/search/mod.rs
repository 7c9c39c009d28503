//! The loop: baselines, generations until the budget ends, finalists, one look at the holdout split, and the front.
//!
//! A run is a sequence of trials whose numbers, recipes and splits follow from the seed and the recorded outcomes alone.
//! So **resume is replay**: [`run`] asks for the same trials again, finds the recorded ones in the run folder, and goes on
//! where they end. Progress goes out as [`SearchEvent`]s; nothing is printed here.

mod archive;
mod baselines;
mod budget;
mod event;
mod finals;
mod past;
mod pool;
mod problem;
mod session;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use argmin::core::Executor;

pub use budget::Budget;
pub use event::{
    BestObserved, Comparison, Finals, OtherMetrics, Progress, Report, SearchEvent, Standing,
};
pub use finals::Origin;

use crate::race::{Race, Racing};
use archive::Archive;
use baselines::Baseline;
use budget::{Clock, Deadline};
use finals::Recommended;
use pool::Axes;
use problem::MergeProblem;
use session::{Parts, Session};

use crate::evaluate::{EvaluateError, Evaluator, Workers};
use crate::genome::Decoder;
use crate::objective::TieBreak;
use crate::optimizer::{ArgminSolver, Optimizer};
use crate::outcome::JoinError;
use crate::record::{RecordError, RunWriter};
use crate::units::{Seed, Split};

/// How many of the best observed candidates are scored again on the selection split, where the budget has time for all.
const FINALISTS: usize = 8;
/// Seconds that a trial is expected to take before one was timed.
const EXPECTED_FLOOR: f64 = 1.0;

/// Everything a run needs.
pub struct Setup<'a> {
    /// From genotypes to recipes; holds the search space.
    pub decoder: &'a Decoder,
    /// Layers of the base model.
    pub layers: usize,
    /// From recipes to outcomes.
    pub evaluator: &'a dyn Evaluator,
    /// Who scores.
    pub workers: &'a Workers,
    /// Who asks; fresh, also when resuming.
    pub optimizer: Box<dyn Optimizer + Send>,
    /// How candidates of a generation race each other; `None`: each is scored on the whole search split.
    pub racing: Option<Racing>,
    /// What ends the search.
    pub budget: Budget,
    /// Of the report's bootstrap.
    pub seed: Seed,
    /// The run folder, open for writing.
    pub writer: RunWriter,
    /// When the budget began to run: before checkpoints and tasks were opened.
    pub started: Instant,
    /// Set by whoever wants the run to stop after the candidates in flight.
    pub interrupt: &'a AtomicBool,
    pub listener: &'a (dyn Fn(SearchEvent<'_>) + Sync),
}

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// The budget is spent and the winner chosen.
    Finished(Box<Report>),
    /// Asked to stop; can be resumed.
    Interrupted,
}

/// Why a run cannot go on. Everything recorded until then stays.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The run folder cannot be written or read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No recipe can be scored any more.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The record was not written by the search that is now replayed.
    #[error("trial {trial} of the record is not the one this search asks for")]
    ReplayDiffers { trial: u64 },
    /// Two parts of a trial's documents do not belong together.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A rung of a race leaves out documents of the rung before.
    #[error("rung {rung} of trial {trial} leaves out documents of the rung before")]
    RungShrinks { trial: u64, rung: u32 },
    /// A candidate of a search that had ended is not in the record any more.
    #[error(
        "trial {trial} of generation {generation} is missing from the record of a search that had ended"
    )]
    Gap { trial: u64, generation: u64 },
    /// The base model, of all, could not be scored.
    #[error("the base model cannot be scored on {split}: {reason}")]
    BaseInfeasible { split: Split, reason: String },
    /// argmin's executor failed for a reason of its own.
    #[error("argmin stopped the search: {0}")]
    Executor(String),
}

/// Runs a search, or what is left of it.
///
/// # Errors
/// See [`SearchError`]. A candidate that cannot be merged or scored is a row of the record, not an error.
pub fn run(setup: Setup<'_>) -> Result<Ending, SearchError> {
    let axes = Axes::of(setup.decoder.space());
    let parts = Parts {
        decoder: setup.decoder,
        layers: setup.layers,
        evaluator: setup.evaluator,
        workers: setup.workers,
        interrupt: setup.interrupt,
        listener: setup.listener,
        writer: setup.writer,
        started: setup.started,
    };
    let session = Session::begin(parts, Archive::new(FINALISTS, axes, setup.racing.is_some()))?;
    let Some(baselines) = baselines::score(&session, setup.budget)? else {
        return Ok(Ending::Interrupted);
    };
    let places = finals::places_that_fit(&session, &baselines, setup.budget);
    let reserve = finals::reserve(&session, &baselines, places);
    session.emit(SearchEvent::Searching {
        genes: setup.decoder.dimensions().len(),
        population: setup.optimizer.population_size(),
        reserve: reserve.total(session.archive().slowest_merge()),
    });
    let deadline = Deadline::new(setup.budget, reserve);
    let tie_break = tie_break(&session, &baselines, setup.racing.is_some());
    let docs = setup.evaluator.docs(Split::Search);
    let race = setup.racing.map(|racing| Race::new(racing, &session.aggregate, &docs, setup.seed));
    let problem = MergeProblem::new(&session, deadline, tie_break, baselines.len(), race);
    let optimizer = optimize(problem, setup.optimizer)?;
    if session.interrupted() {
        return Ok(Ending::Interrupted);
    }
    if session.archive().candidates() == 0 {
        let warning = "the budget left no time for a single candidate after the baselines";
        session.emit(SearchEvent::Warning(warning.to_owned()));
    }
    if session.archive().candidates() > 0 && session.archive().contenders().is_empty() {
        let warning = "no candidate could be scored within the limits on time and memory";
        session.emit(SearchEvent::Warning(warning.to_owned()));
    }
    if optimizer.generation() == 0 && session.archive().candidates() > 0 {
        session.emit(SearchEvent::Warning(format!(
            "the budget ended within the first generation of {} candidates, so nothing was learnt; use a smaller population",
            optimizer.population_size()
        )));
    }
    let recommended =
        Recommended { genotypes: optimizer.recommend(), learnt: optimizer.recommends_learnt() };
    match finals::decide(&session, &baselines, places, recommended, setup.seed)? {
        Some(report) => Ok(Ending::Finished(Box::new(report))),
        None => Ok(Ending::Interrupted),
    }
}

/// From the numbers of documents alone, which the base model's row has too.
fn tie_break(session: &Session<'_>, baselines: &[Baseline], raced: bool) -> TieBreak {
    let asked = session.decoder.space().tie_break;
    if asked == Some(true) && raced {
        let warning =
            "`objective.tie_break` does nothing with racing, which resamples documents instead";
        session.emit(SearchEvent::Warning(warning.to_owned()));
        return TieBreak::NONE;
    }
    let evaluation = baselines.first().and_then(|base| base.on(Split::Search).outcome.evaluation());
    let tie_break = match evaluation {
        Some(evaluation) if session.breaks_ties => {
            TieBreak::new(&session.aggregate, &evaluation.tasks)
        }
        _ => TieBreak::NONE,
    };
    if asked == Some(true) && !tie_break.is_active() {
        session.emit(SearchEvent::Warning(format!(
            "`objective.tie_break` does nothing: different values of this {} can be too close to tell from equal ones",
            session.aggregate
        )));
    }
    tie_break
}

/// Generations under argmin's executor until the budget ends; gives the optimizer back as it then stands.
fn optimize(
    problem: MergeProblem<'_>,
    optimizer: Box<dyn Optimizer + Send>,
) -> Result<Box<dyn Optimizer + Send>, SearchError> {
    let result = Executor::new(problem, ArgminSolver(optimizer)).run();
    match result {
        Ok(result) => Ok(result.solver.0),
        Err(error) => Err(match error.downcast::<SearchError>() {
            Ok(error) => error,
            Err(error) => SearchError::Executor(error.to_string()),
        }),
    }
}

#[cfg(test)]
mod tests;
