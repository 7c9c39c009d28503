//! The optimizers by name.

use std::fmt;
use std::str::FromStr;

use super::relaxed::{Annealing, Method, Simplex, Swarm};
use super::{CatCma, OptimizerError, RandomSearch, Sobol};

/// The optimizers that can be chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptimizerKind {
    /// `cat-cma`, or `cma-es`: [`CatCma`].
    CatCma,
    /// `random`: [`RandomSearch`].
    Random,
    /// `sobol`: [`Sobol`].
    Sobol,
    /// `particle-swarm`: argmin's, over the unit cube.
    ParticleSwarm,
    /// `simulated-annealing`: argmin's, over the unit cube; a single candidate per generation after the first.
    SimulatedAnnealing,
    /// `nelder-mead`: argmin's, over the unit cube, with restarts; most generations are a single candidate.
    NelderMead,
}

impl OptimizerKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::CatCma,
        Self::Random,
        Self::Sobol,
        Self::ParticleSwarm,
        Self::SimulatedAnnealing,
        Self::NelderMead,
    ];

    /// Whether it learns from the order within a generation alone, so that generations may see different documents and part
    /// of the candidates fewer than others.
    pub fn races(self) -> bool {
        matches!(self, Self::CatCma)
    }

    fn name(self) -> &'static str {
        match self {
            Self::CatCma => CatCma::NAME,
            Self::Random => RandomSearch::NAME,
            Self::Sobol => Sobol::NAME,
            Self::ParticleSwarm => Swarm::NAME,
            Self::SimulatedAnnealing => Annealing::NAME,
            Self::NelderMead => Simplex::NAME,
        }
    }
}

/// The names that parse, the alias last.
pub(super) fn names() -> String {
    let names = OptimizerKind::ALL.map(|kind| format!("{kind:?}", kind = kind.name()));
    format!("{} or {CMA_ES:?}", names.join(", "))
}

/// What others call the covariance matrix adaptation in [`CatCma`].
const CMA_ES: &str = "cma-es";

impl fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for OptimizerKind {
    type Err = OptimizerError;

    fn from_str(name: &str) -> Result<Self, OptimizerError> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known
            .or_else(|| (name == CMA_ES).then_some(Self::CatCma))
            .ok_or_else(|| OptimizerError::UnknownKind { name: name.to_owned() })
    }
}
