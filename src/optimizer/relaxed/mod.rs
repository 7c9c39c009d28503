//! argmin's own derivative-free solvers as optimizers: baselines from other hands.
//!
//! They search the unit cube with one coordinate per gene that can vary, in which a categorical gene is an interval cut
//! into cells. (One coordinate per choice would assume no order among the choices, but a simplex has a vertex more than
//! there are coordinates, and each has to be measured.) The solvers see points and costs only; [`replay`] lets them be
//! asked and told.
//!
//! Under noise all three believe what they saw: [`Optimizer::recommend`] is the best candidate observed.

mod annealing;
#[cfg(test)]
mod oracle;
mod replay;
mod simplex;
mod swarm;

use argmin::core::{Error, Solver, State};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::cat_cma::costs_of;
use super::unit_cube::UnitCube;
use super::{Costs, Optimizer, OptimizerError, Settings, stream};
use crate::genome::{Dimension, Genotype};
use crate::units::Seed;
pub(super) use annealing::Annealing;
use replay::{Attempt, Replay, Run};
pub(super) use simplex::Simplex;
pub(super) use swarm::Swarm;

/// Points of the unit cube, or around it.
type Points = Vec<Vec<f64>>;

/// One of argmin's solvers: how its runs begin and end.
pub(super) trait Method: Sized {
    type Solver: Solver<Replay, Self::State> + Clone;
    type State: State + Clone;

    const NAME: &'static str;

    /// See [`Replay::independent_from`].
    const INDEPENDENT_FROM: usize;

    fn new(cube: &UnitCube, settings: &Settings) -> Result<Self, OptimizerError>;

    /// The points whose costs run `run` (counted from 0) needs to begin. `starts` are known to be good, best first, and
    /// are at least one.
    fn first_points(
        &self,
        cube: &UnitCube,
        starts: &[Vec<f64>],
        run: usize,
        rng: &mut ChaCha8Rng,
    ) -> Points;

    fn begin(
        &self,
        points: Points,
        costs: Vec<f64>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Beginning<Self>, Error>;

    /// Whether nothing is to be gained after an iteration that evaluated `points`, though the solver would go on.
    fn is_over(&self, _state: &Self::State, _points: &[Vec<f64>]) -> bool {
        false
    }
}

/// A run before its solver's `init`.
pub(super) struct Beginning<M: Method> {
    solver: M::Solver,
    state: M::State,
    /// What `init` will ask for, in order.
    answers: Vec<f64>,
    /// See [`Replay::step`].
    step: f64,
}

/// A solver of argmin over the relaxed search space. Where it ends by itself it starts again from random points.
pub(super) struct Relaxed<M: Method> {
    method: M,
    seed: Seed,
    generation: u64,
    cube: UnitCube,
    starts: Points,
    runs: usize,
    /// Iterations completed and runs begun: keys the random numbers.
    iterations: u64,
    /// The current generation.
    wanted: Points,
    /// `None` while the first points are measured.
    run: Option<Run<M::Solver, M::State>>,
    step: f64,
    /// Costs told since the run's last completed iteration.
    answers: Vec<f64>,
    best: Option<(Genotype, f64)>,
}

/// What the random numbers of one iteration are for.
#[derive(Clone, Copy)]
enum Purpose {
    FirstPoints,
    Solver,
    Move,
}

/// Stands for infinity, with which a simplex cannot calculate. A power of two, so that the mean of any number of
/// infeasible costs is exactly it.
const INFEASIBLE: f64 = (1_u128 << 100) as f64;

impl<M: Method> Relaxed<M> {
    /// # Errors
    /// As [`build`](super::build).
    pub(super) fn new(
        dimensions: &[Dimension],
        seed: Seed,
        settings: &Settings,
    ) -> Result<Self, OptimizerError> {
        let cube = UnitCube::new(dimensions)?;
        if !(settings.sigma.is_finite() && settings.sigma > 0.0) {
            return Err(OptimizerError::BadSigma { got: settings.sigma });
        }
        let mut relaxed = Self {
            method: M::new(&cube, settings)?,
            seed,
            generation: 0,
            starts: cube.starts(settings)?,
            cube,
            runs: 0,
            iterations: 0,
            wanted: Vec::new(),
            run: None,
            step: 0.0,
            answers: Vec::new(),
            best: None,
        };
        relaxed.wanted = relaxed.first_points();
        Ok(relaxed)
    }

    fn rng(&self, purpose: Purpose) -> ChaCha8Rng {
        stream::candidate_rng(M::NAME, self.seed, self.iterations, purpose as usize)
    }

    fn first_points(&self) -> Points {
        let rng = &mut self.rng(Purpose::FirstPoints);
        self.method.first_points(&self.cube, &self.starts, self.runs, rng)
    }

    fn remember(&mut self, asked: &[Genotype], costs: &[f64]) {
        for (genotype, &cost) in asked.iter().zip(costs) {
            let least = self.best.as_ref().map_or(f64::INFINITY, |(_, least)| *least);
            if cost < least {
                self.best = Some((genotype.clone(), cost));
            }
        }
    }

    fn replay(&self, answers: Vec<f64>, step: f64) -> Replay {
        Replay {
            answers,
            independent_from: M::INDEPENDENT_FROM,
            calls: Points::new().into(),
            rng: self.rng(Purpose::Move),
            step,
        }
    }

    fn begin(&mut self, costs: Vec<f64>) -> Result<(), Error> {
        let points = std::mem::take(&mut self.wanted);
        let Beginning { solver, state, answers, step } =
            self.method.begin(points, costs, &mut self.rng(Purpose::Solver))?;
        self.step = step;
        self.run = Some(Run::start(solver, state, self.replay(answers, step))?);
        Ok(())
    }

    /// The points to measure before the run can complete another iteration; `None` when it ended.
    fn advance(&mut self) -> Option<Points> {
        loop {
            let replay = self.replay(self.answers.clone(), self.step);
            let run = self.run.as_mut()?;
            match run.attempt(replay) {
                Attempt::Wants(points) => return Some(points),
                Attempt::Ended => return None,
                Attempt::Done(points) if self.method.is_over(run.state(), &points) => return None,
                Attempt::Done(_) => {
                    self.answers.clear();
                    self.iterations += 1;
                }
            }
        }
    }

    fn restart(&mut self) -> Points {
        self.run = None;
        self.answers.clear();
        self.runs += 1;
        self.iterations += 1;
        self.first_points()
    }
}

impl<M: Method> Optimizer for Relaxed<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn population_size(&self) -> usize {
        self.wanted.len()
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn ask(&self) -> Vec<Genotype> {
        self.wanted.iter().map(|point| self.cube.decode(point)).collect()
    }

    fn tell(&mut self, told: &[(Genotype, Costs)]) {
        let asked = self.ask();
        let costs: Vec<f64> = costs_of(&asked, told).iter().map(Costs::first).collect();
        self.remember(&asked, &costs);
        let costs = costs.into_iter().map(|cost| cost.clamp(-INFEASIBLE, INFEASIBLE));
        let failed = if self.run.is_none() {
            self.begin(costs.collect()).is_err()
        } else {
            self.answers.extend(costs);
            false
        };
        let next = if failed { None } else { self.advance() };
        self.wanted = next.unwrap_or_else(|| self.restart());
        self.generation += 1;
    }

    fn recommend(&self) -> Vec<Genotype> {
        self.best.iter().map(|(genotype, _)| genotype.clone()).collect()
    }
}

/// Fraction of a gene's range below which two candidates are the same merge, however they score.
const RESOLUTION: f64 = 1e-6;

/// Whether all of `points` are as good as at `centre`.
fn collapsed(points: &[Vec<f64>], centre: &[f64]) -> bool {
    let near = |(x, y): (&f64, &f64)| (x - y).abs() < RESOLUTION;
    points.iter().all(|point| point.iter().zip(centre).all(near))
}

/// `count` points, the first of them `starts`, the others uniform in the unit cube.
fn sown(starts: &[Vec<f64>], count: usize, rng: &mut impl Rng) -> Points {
    let genes = starts.first().map_or(0, Vec::len);
    let mut points: Points = starts.iter().take(count).cloned().collect();
    points.resize_with(count, || uniform(genes, rng));
    points
}

/// A point of the unit cube.
fn uniform(genes: usize, rng: &mut impl Rng) -> Vec<f64> {
    (0..genes).map(|_| rng.random()).collect()
}

/// The generator for a solver that draws by itself, of the version of `rand` that argmin knows.
fn solver_rng(rng: &mut impl Rng) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::from_seed(rng.random())
}
