//! Proposes genotypes and learns from their costs: numbers only, no tensors, no merging.
//!
//! Above it stands [`search`](crate), which decodes what [`Optimizer::ask`] returns, measures it
//! and hands the costs back to [`Optimizer::tell`]; below it only [`genome`](crate::genome) (what a
//! candidate is) and [`units`](crate::units). Two optimizers live here: [`CatCma`], a Gaussian for
//! continuous and integer genes next to independent categorical distributions, and
//! [`RandomSearch`], the baseline every search is compared with. Both can be driven by hand or,
//! through [`ArgminSolver`], by `argmin::core::Executor`.
//!
//! An optimizer's state is a function of its construction and of what it was told, and `ask` is a
//! function of that state: telling the same costs again brings back the same state, bit for bit,
//! which is how a stopped search resumes.

mod argmin_adapter;
mod cat_cma;
mod categorical;
mod encoding;
mod gaussian;
mod margin;
mod normal;
#[cfg(test)]
mod parity;
mod random;
mod stream;
mod weights;

pub use argmin_adapter::ArgminSolver;
pub use cat_cma::CatCma;
pub use random::RandomSearch;

use std::fmt;
use std::str::FromStr;

use crate::genome::{Dimension, Genotype};
use crate::units::Seed;

/// A population-based minimiser driven from outside: ask for a generation, measure it, tell the
/// costs.
pub trait Optimizer {
    /// The name under which [`OptimizerKind`] parses it.
    fn name(&self) -> &'static str;

    /// Number of candidates in a generation.
    fn population_size(&self) -> usize;

    /// Number of generations told so far.
    fn generation(&self) -> u64;

    /// The candidates of the current generation; the same ones until [`tell`](Self::tell) is
    /// called.
    fn ask(&self) -> Vec<Genotype>;

    /// Ends the generation. `told` pairs each candidate of [`ask`](Self::ask) with its cost, in any
    /// order.
    ///
    /// Costs are minimised and only their order matters; NaN and `f64::INFINITY` mean infeasible,
    /// which ranks last. A candidate that was asked for and is not told counts as infeasible; one
    /// that was not asked for is ignored.
    fn tell(&mut self, told: &[(Genotype, f64)]);

    /// The centre of what was learnt, clipped to the domains; `None` where nothing is learnt. Under
    /// noise it is a better estimate of the optimum than the best candidate observed.
    fn recommend(&self) -> Option<Genotype>;
}

/// The optimizers that can be chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptimizerKind {
    /// `cat-cma`: [`CatCma`].
    CatCma,
    /// `random`: [`RandomSearch`].
    Random,
}

impl fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CatCma => CatCma::NAME,
            Self::Random => RandomSearch::NAME,
        })
    }
}

impl FromStr for OptimizerKind {
    type Err = OptimizerError;

    fn from_str(name: &str) -> Result<Self, OptimizerError> {
        match name {
            CatCma::NAME | "cma-es" => Ok(Self::CatCma),
            RandomSearch::NAME => Ok(Self::Random),
            _ => Err(OptimizerError::UnknownKind { name: name.to_owned() }),
        }
    }
}

/// What a user may set about an optimizer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Candidates per generation; `None` is 2 (4 + ⌊3 ln N⌋) for N genes that can vary.
    pub population: Option<usize>,
    /// Initial standard deviation of continuous and integer genes, as a fraction of each range.
    pub sigma: f64,
    /// Candidates measured at the same time; the default population is rounded up to a multiple of it. A population
    /// that was asked for is kept, so that the trajectory does not depend on the machine.
    pub workers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { population: None, sigma: 0.3, workers: 1 }
    }
}

impl Settings {
    /// λ for `genes` genes that can vary. The default is twice that of CMA-ES (Hansen 2016,
    /// arXiv:1604.00772, Table 1): measurement noise asks for more than the noiseless setting, and
    /// idle workers cost as much as busy ones.
    fn population_size(&self, genes: usize) -> Result<usize, OptimizerError> {
        if self.workers == 0 {
            return Err(OptimizerError::NoWorkers);
        }
        let default = || 2 * (4 + (3.0 * (genes as f64).ln()) as usize);
        let population =
            self.population.unwrap_or_else(|| default().next_multiple_of(self.workers));
        if population < LEAST_POPULATION {
            let got = population;
            return Err(OptimizerError::PopulationTooSmall { got, least: LEAST_POPULATION });
        }
        if population > stream::MOST_CANDIDATES {
            let most = stream::MOST_CANDIDATES;
            return Err(OptimizerError::PopulationTooLarge { got: population, most });
        }
        Ok(population)
    }
}

/// The smallest population in which one candidate can be preferred to another.
const LEAST_POPULATION: usize = 2;

/// Builds the optimizer `kind` for genotypes with one gene per entry of `dimensions`, in that
/// order.
///
/// # Errors
/// When a domain is empty or not finite, a start lies outside its domain, no gene can vary, or a
/// setting is out of range.
pub fn build(
    kind: OptimizerKind,
    dimensions: &[Dimension],
    seed: Seed,
    settings: &Settings,
) -> Result<Box<dyn Optimizer + Send>, OptimizerError> {
    Ok(match kind {
        OptimizerKind::CatCma => Box::new(CatCma::new(dimensions, seed, settings)?),
        OptimizerKind::Random => Box::new(RandomSearch::new(dimensions, seed, settings)?),
    })
}

/// Why an optimizer could not be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptimizerError {
    #[error("unknown optimizer {name:?}: expected \"cat-cma\" or \"random\"")]
    UnknownKind { name: String },
    #[error("no gene can vary: every domain has at most one value, or there are no genes")]
    NothingToSearch,
    #[error("gene {gene:?}: expected finite bounds with low <= high, got {low}..{high}")]
    BadRange { gene: String, low: f64, high: f64 },
    #[error("gene {gene:?}: expected at least one choice, got none")]
    NoChoices { gene: String },
    #[error("gene {gene:?}: expected a start within {low}..{high}, got {initial}")]
    BadStart { gene: String, initial: f64, low: f64, high: f64 },
    #[error("expected a finite sigma above zero, got {got}")]
    BadSigma { got: f64 },
    #[error("expected a population of at least {least}, got {got}")]
    PopulationTooSmall { got: usize, least: usize },
    #[error(
        "expected a population of at most {most} after rounding up to whole workers, got {got}"
    )]
    PopulationTooLarge { got: usize, most: usize },
    #[error("expected at least one worker, got 0")]
    NoWorkers,
}
