//! Proposes genotypes and learns from their costs: numbers only, no tensors, no merging.
//!
//! Above it stands [`search`](crate), which decodes what [`Optimizer::ask`] returns, measures it
//! and hands the costs back to [`Optimizer::tell`]; below it only [`genome`](crate::genome) (what a
//! candidate is), [`units`](crate::units) and the geometry of fronts in [`objective`](crate::objective).
//! [`CatCma`] is a Gaussian for continuous and integer genes next to independent categorical
//! distributions, [`Genetic`] a genetic algorithm; [`Nsga2`] and [`ScalarisedCma`] are for several
//! costs. The baselines that every search is compared with are [`RandomSearch`], [`Sobol`] and argmin's
//! own particle swarm, simulated annealing and Nelder-Mead. All can be driven by hand or, through
//! [`ArgminSolver`], by `argmin::core::Executor`.
//!
//! An optimizer's state is a function of its construction and of what it was told, and `ask` is a
//! function of that state: telling the same costs again brings back the same state, bit for bit,
//! which is how a stopped search resumes.

mod additive;
mod argmin_adapter;
mod breeding;
mod cat_cma;
mod categorical;
mod coarse;
mod convergence;
mod costs;
mod encoding;
mod error;
mod gaussian;
mod genetic;
mod kind;
mod margin;
mod normal;
mod nsga2;
#[cfg(test)]
mod parity;
mod random;
mod refine;
mod relaxed;
mod restarts;
mod scalarised;
mod settings;
mod sobol;
mod stream;
mod surrogate;
mod told;
mod unit_cube;
mod variation;
mod warm_start;
mod weights;

pub use argmin_adapter::ArgminSolver;
pub use cat_cma::CatCma;
pub use coarse::CoarseToFine;
pub use costs::Costs;
pub use error::OptimizerError;
pub use genetic::Genetic;
pub use kind::OptimizerKind;
pub use nsga2::Nsga2;
pub use random::RandomSearch;
pub use scalarised::ScalarisedCma;
pub use settings::{Covariance, Restarts, Settings};
pub use sobol::Sobol;

use self::relaxed::{Annealing, Relaxed, Simplex, Swarm};
use crate::genome::{Dimension, Genotype};
use crate::units::Seed;

/// A minimiser driven from outside: ask for a generation, measure it, tell what was measured.
pub trait Optimizer {
    /// The name under which [`OptimizerKind`] parses it.
    fn name(&self) -> &'static str;

    /// Number of candidates in the current generation.
    fn population_size(&self) -> usize;

    /// Number of generations told so far.
    fn generation(&self) -> u64;

    /// The candidates of the current generation; the same ones until [`tell`](Self::tell) is
    /// called.
    fn ask(&self) -> Vec<Genotype>;

    /// Ends the generation. `told` pairs each candidate of [`ask`](Self::ask) with its costs, in any
    /// order.
    ///
    /// A candidate that was asked for and is not told counts as infeasible; one that was not asked for is ignored.
    fn tell(&mut self, told: &[(Genotype, Costs)]);

    /// What was learnt, best guess first, each within its domains; nothing where nothing is learnt. Under
    /// noise the centre of a search distribution is a better estimate of the optimum than the best candidate observed.
    fn recommend(&self) -> Vec<Genotype>;

    /// Whether what it recommends was learnt from all candidates, and is not the luckiest of them.
    fn recommends_learnt(&self) -> bool {
        false
    }
}

/// Builds the optimizer `kind` for genotypes with one gene per entry of `dimensions`, in that
/// order.
///
/// # Errors
/// When a domain is empty or not finite, a start or a candidate of the warm start lies outside its
/// domain, no gene can vary, or a setting is out of range.
pub fn build(
    kind: OptimizerKind,
    dimensions: &[Dimension],
    seed: Seed,
    settings: &Settings,
) -> Result<Box<dyn Optimizer + Send>, OptimizerError> {
    Ok(match kind {
        OptimizerKind::CatCma if settings.tying.is_empty() => {
            Box::new(CatCma::new(dimensions, seed, settings)?)
        }
        OptimizerKind::CatCma => {
            Box::new(CoarseToFine::new(dimensions, seed, settings, &settings.tying)?)
        }
        OptimizerKind::Nsga2 => Box::new(Nsga2::new(dimensions, seed, settings)?),
        OptimizerKind::ScalarisedCma => Box::new(ScalarisedCma::new(dimensions, seed, settings)?),
        OptimizerKind::Genetic => Box::new(Genetic::new(dimensions, seed, settings)?),
        OptimizerKind::Random => Box::new(RandomSearch::new(dimensions, seed, settings)?),
        OptimizerKind::Sobol => Box::new(Sobol::new(dimensions, seed, settings)?),
        OptimizerKind::ParticleSwarm => {
            Box::new(Relaxed::<Swarm>::new(dimensions, seed, settings)?)
        }
        OptimizerKind::SimulatedAnnealing => {
            Box::new(Relaxed::<Annealing>::new(dimensions, seed, settings)?)
        }
        OptimizerKind::NelderMead => Box::new(Relaxed::<Simplex>::new(dimensions, seed, settings)?),
    })
}
