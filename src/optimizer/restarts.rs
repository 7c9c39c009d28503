//! What CMA-ES does after a run has converged: another one elsewhere, with another population.
//!
//! Auger & Hansen 2005, "A restart CMA evolution strategy with increasing population size" (IPOP) and
//! Hansen 2009, "Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed" (BIPOP).

use rand::{Rng, RngExt};

use super::convergence::History;
use super::gaussian::Gaussian;
use super::{Restarts, stream};
use crate::genome::Genotype;

/// Least population of a run that is not the first: one that can tell better from worse.
const LEAST_POPULATION: usize = 4;

/// A run's population and its initial sigma, relative to the first run's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Run {
    pub(super) population: usize,
    pub(super) sigma: f64,
}

/// What was spent, and what came out of it.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    doubling: bool,
    first: usize,
    /// Populations are multiples of it.
    workers: usize,
    /// Doublings of the large population so far.
    doublings: u32,
    regime: Regime,
    /// Candidates evaluated by runs that are over.
    spent: Spent,
    /// Candidates evaluated by this run, and the most that it may.
    evaluated: usize,
    most: usize,
    history: History,
    /// Mean cost of the last generation and centre of each run that is over; best first.
    finished: Vec<(f64, Genotype)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Regime {
    Large,
    Small,
}

/// Candidates per regime. The first run counts as small, as in pycma.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    large: usize,
    small: usize,
}

impl Schedule {
    /// `None` when nothing is to restart. Populations after `first` are multiples of `workers`.
    pub(super) fn new(restarts: Restarts, first: usize, workers: usize) -> Option<Self> {
        let doubling = match restarts {
            Restarts::None => return None,
            Restarts::Ipop => true,
            Restarts::Bipop => false,
        };
        Some(Self {
            doubling,
            first,
            workers,
            doublings: 0,
            regime: Regime::Small,
            spent: Spent::default(),
            evaluated: 0,
            most: usize::MAX,
            history: History::default(),
            finished: Vec::new(),
        })
    }

    /// Remembers a generation's costs; whether the run is over, `n` being the number of genes.
    pub(super) fn ends(&mut self, costs: &[f64], gaussian: Option<&Gaussian>, n: usize) -> bool {
        self.evaluated += costs.len();
        self.history.push(costs);
        self.evaluated >= self.most || self.history.over(gaussian, n, costs.len())
    }

    /// Ends the run at `centre` and says how to begin the next one.
    pub(super) fn next(&mut self, centre: Genotype, rng: &mut impl Rng) -> Run {
        let cost = self.cost();
        let place = self.finished.partition_point(|(other, _)| *other <= cost);
        self.finished.insert(place, (cost, centre));
        match self.regime {
            Regime::Large => self.spent.large += self.evaluated,
            Regime::Small => self.spent.small += self.evaluated,
        }
        self.evaluated = 0;
        self.history = History::default();
        if self.doubling || self.spent.small >= self.spent.large {
            self.large()
        } else {
            self.small(rng)
        }
    }

    fn large(&mut self) -> Run {
        self.regime = Regime::Large;
        self.most = usize::MAX;
        self.doublings += 1;
        Run { population: self.rounded(self.first as f64 * self.growth()), sigma: 1.0 }
    }

    /// λ = ⌊λ_first (λ_large / (2 λ_first))^(u²)⌋ with sigma times 10^(−2u'), for at most half of what
    /// the large runs took.
    fn small(&mut self, rng: &mut impl Rng) -> Run {
        self.regime = Regime::Small;
        self.most = self.spent.large / 2;
        let (for_sigma, for_population): (f64, f64) = (rng.random(), rng.random());
        let growth = (0.5 * self.growth()).powf(for_population.powi(2));
        Run {
            population: self.rounded(self.first as f64 * growth),
            sigma: 10.0_f64.powf(-2.0 * for_sigma),
        }
    }

    fn growth(&self) -> f64 {
        2.0_f64.powi(self.doublings as i32)
    }

    /// A population of about `size` that suits the workers and has random numbers for everyone.
    fn rounded(&self, size: f64) -> usize {
        let most = stream::MOST_CANDIDATES - self.workers.min(stream::MOST_CANDIDATES / 2);
        let size = (size as usize).clamp(LEAST_POPULATION.min(self.first), most);
        size.next_multiple_of(self.workers)
    }

    /// Mean cost of this run's last generation, infinite before there is one. Under noise a mean over
    /// a generation is worth more than its lucky best.
    fn cost(&self) -> f64 {
        self.history.mean.unwrap_or(f64::INFINITY)
    }

    /// The centres of all runs, this one's being `centre`, by the mean cost of their last generation.
    pub(super) fn centres(&self, centre: Genotype) -> Vec<Genotype> {
        let place = self.finished.partition_point(|(other, _)| *other <= self.cost());
        let mut centres: Vec<Genotype> = self.finished.iter().map(|(_, x)| x.clone()).collect();
        centres.insert(place, centre);
        centres
    }
}

/// Where a run after the first begins: uniform in the box around `start` of which `sigma` is 0.3 of
/// the width, within the domain. A sigma of 0.3 and a start in the middle make it the whole domain.
pub(super) fn elsewhere(start: &[f64], sigma: f64, rng: &mut impl Rng) -> Vec<f64> {
    let half = 0.5 * sigma / 0.3;
    let within = |&x: &f64, u: f64| {
        let (low, high) = ((x - half).max(0.0), (x + half).min(1.0));
        low + u * (high - low)
    };
    start.iter().map(|x| within(x, rng.random())).collect()
}
