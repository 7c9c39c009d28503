//! One run of an argmin solver, turned inside out.
//!
//! argmin's solvers call the cost function; an [`Optimizer`](crate::optimizer::Optimizer) is asked and told. So an
//! iteration is tried with a cost function that answers, in the order of the calls, with the costs told since the iteration
//! began. Where a call has no answer yet the attempt is thrown away, its point is what to measure next, and the same iteration
//! is tried again once the cost is told. Solver and state advance with completed iterations only, so the trajectory
//! is the one that argmin's executor takes when it calls the cost function itself.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Problem, Solver, State};
use argmin::solver::simulatedannealing::Anneal;
use rand_chacha::ChaCha8Rng;

use super::annealing;

/// A cost function that knows the answers to the first calls of an iteration.
pub(in crate::optimizer) struct Replay {
    pub(super) answers: Vec<f64>,
    /// The first call whose point, like those of all later ones, does not depend on the answers to calls from this one on.
    pub(super) independent_from: usize,
    /// The points of all calls so far.
    pub(super) calls: RefCell<Vec<Vec<f64>>>,
    /// What the iteration draws on for a move of simulated annealing.
    pub(super) rng: ChaCha8Rng,
    /// Standard deviation of such a move at temperature 1.
    pub(super) step: f64,
}

#[derive(Debug, thiserror::Error)]
#[error("a candidate's cost decides what to evaluate next, and is not known yet")]
struct Unanswered;

impl CostFunction for Replay {
    type Param = Vec<f64>;
    type Output = f64;

    /// Calls that are independent of what is missing get any answer, so that all their points become known in one attempt.
    fn cost(&self, point: &Vec<f64>) -> Result<f64, Error> {
        let mut calls = self.calls.borrow_mut();
        let call = calls.len();
        calls.push(point.clone());
        match self.answers.get(call) {
            Some(cost) => Ok(*cost),
            None if call >= self.independent_from => Ok(0.0),
            None => Err(Unanswered.into()),
        }
    }
}

impl Anneal for Replay {
    type Param = Vec<f64>;
    type Output = Vec<f64>;
    type Float = f64;

    fn anneal(&self, point: &Vec<f64>, temperature: f64) -> Result<Vec<f64>, Error> {
        Ok(annealing::moved(point, self.step * temperature.sqrt(), &mut self.rng.clone()))
    }
}

/// A solver between two iterations.
#[derive(Clone)]
pub(super) struct Run<S, I> {
    solver: S,
    state: I,
}

/// What came of trying an iteration.
pub(super) enum Attempt {
    /// These points have to be measured first, in this order.
    Wants(Vec<Vec<f64>>),
    /// The iteration is done; it evaluated these points.
    Done(Vec<Vec<f64>>),
    /// The solver has nothing more to do.
    Ended,
}

impl<S, I> Run<S, I>
where
    S: Solver<Replay, I> + Clone,
    I: State + Clone,
{
    /// Initialises the solver; `replay` knows the cost of every point that takes.
    pub(super) fn start(mut solver: S, state: I, replay: Replay) -> Result<Self, Error> {
        let (mut state, _) = solver.init(&mut Problem::new(replay), state)?;
        state.update();
        Ok(Self { solver, state })
    }

    pub(super) fn state(&self) -> &I {
        &self.state
    }

    /// Tries the next iteration with what `replay` knows.
    pub(super) fn attempt(&mut self, replay: Replay) -> Attempt {
        if self.solver.terminate(&self.state).terminated() {
            return Attempt::Ended;
        }
        let known = replay.answers.len();
        let mut problem = Problem::new(replay);
        let mut solver = self.solver.clone();
        let result = solver.next_iter(&mut problem, self.state.clone());
        let mut calls =
            problem.get_problem().map_or_else(Vec::new, |replay| replay.calls.into_inner());
        match result {
            _ if calls.len() > known => Attempt::Wants(calls.split_off(known)),
            Ok((state, _)) if !calls.is_empty() => {
                self.advance(solver, state);
                Attempt::Done(calls)
            }
            _ => Attempt::Ended,
        }
    }

    fn advance(&mut self, solver: S, mut state: I) {
        state.update();
        state.increment_iter();
        *self = Self { solver, state };
    }
}
