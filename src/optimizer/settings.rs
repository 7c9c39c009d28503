//! What a user may set about an optimizer.

use std::fmt;
use std::str::FromStr;

use super::{OptimizerError, stream};
use crate::genome::Genotype;

/// What a user may set about an optimizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Candidates per generation; `None` is 2 (4 + ⌊3 ln N⌋) for N genes that can vary.
    pub population: Option<usize>,
    /// Initial standard deviation of continuous and integer genes, as a fraction of each range.
    pub sigma: f64,
    /// Candidates measured at the same time; the default population is rounded up to a multiple of it. A population
    /// that was asked for is kept, so that the trajectory does not depend on the machine.
    pub workers: usize,
    /// Which covariances the Gaussian of CMA-ES learns.
    pub covariance: Covariance,
    /// What CMA-ES does once it has converged.
    pub restarts: Restarts,
    /// Whether CMA-ES also learns from the worse half (negative weights). Pays without noise, loses with it. Not with [`Covariance::LowRank`].
    pub active: bool,
    /// Known good candidates, best first: the search starts around the first, and all are part of the first generation.
    pub warm_start: Vec<Genotype>,
    /// Genes that share a value at first: for each level, coarsest first, the class of each gene (see
    /// [`CoarseToFine`](super::CoarseToFine)). Empty: every gene is searched by itself from the start.
    pub tying: Vec<Vec<usize>>,
    /// Costs per candidate; optimizers for a single objective heed the first only.
    pub objectives: usize,
    /// Whether [`CatCma`](super::CatCma) recommends the optimum of a model fitted to all costs, before its distribution's mode.
    pub surrogate: bool,
}

/// Which covariances the Gaussian of CMA-ES learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Covariance {
    /// All of them: O(N²) numbers, learnt in O(N²) candidates.
    #[default]
    Full,
    /// One variance per coordinate (sep-CMA-ES).
    Diagonal,
    /// A diagonal and a few directions.
    LowRank,
}

/// What CMA-ES does once it has converged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restarts {
    /// It goes on.
    #[default]
    None,
    /// Starts again elsewhere with twice the population.
    Ipop,
    /// Alternates between growing populations and small ones with small steps.
    Bipop,
}

impl Covariance {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Full, "full"), (Self::Diagonal, "diagonal"), (Self::LowRank, "low-rank")];
}

impl fmt::Display for Covariance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL.iter().find(|(known, _)| known == self).map_or("", |(_, word)| word))
    }
}

impl FromStr for Covariance {
    type Err = OptimizerError;

    fn from_str(word: &str) -> Result<Self, OptimizerError> {
        let found = Self::ALL.into_iter().find(|(_, known)| *known == word);
        let unknown = || OptimizerError::UnknownCovariance { word: word.to_owned() };
        found.map(|(covariance, _)| covariance).ok_or_else(unknown)
    }
}

impl Restarts {
    const ALL: [(Self, &'static str); 3] =
        [(Self::None, "none"), (Self::Ipop, "ipop"), (Self::Bipop, "bipop")];
}

impl fmt::Display for Restarts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL.iter().find(|(known, _)| known == self).map_or("", |(_, word)| word))
    }
}

impl FromStr for Restarts {
    type Err = OptimizerError;

    fn from_str(word: &str) -> Result<Self, OptimizerError> {
        let found = Self::ALL.into_iter().find(|(_, known)| *known == word);
        let unknown = || OptimizerError::UnknownRestarts { word: word.to_owned() };
        found.map(|(restarts, _)| restarts).ok_or_else(unknown)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            population: None,
            sigma: 0.3,
            workers: 1,
            covariance: Covariance::Full,
            restarts: Restarts::None,
            active: false,
            warm_start: Vec::new(),
            tying: Vec::new(),
            objectives: 1,
            surrogate: false,
        }
    }
}

impl Settings {
    /// λ for `genes` genes that can vary. The default is twice that of CMA-ES (Hansen 2016,
    /// arXiv:1604.00772, Table 1): measurement noise asks for more than the noiseless setting, and
    /// idle workers cost as much as busy ones.
    pub(super) fn population_size(&self, genes: usize) -> Result<usize, OptimizerError> {
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
