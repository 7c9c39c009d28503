//! NSGA-II: a population that spreads along the front of several costs.

use super::breeding::Breeding;
use super::{Costs, Optimizer, OptimizerError, Settings};
use crate::genome::{Dimension, Genotype};
use crate::units::Seed;

/// Deb, Pratap, Agarwal & Meyarivan, IEEE Trans. Evol. Comput. 6, 2002, 182, over mixed genes, with the most crowded
/// members removed one at a time. The first generation is uniform, `settings.warm_start` part of it; `settings.sigma` and
/// the dimensions' `initial` play no part.
#[derive(Debug, Clone)]
pub struct Nsga2 {
    breeding: Breeding,
}

impl Nsga2 {
    pub(super) const NAME: &'static str = "nsga2";

    /// Minimises `settings.objectives` costs.
    ///
    /// # Errors
    /// As [`build`](super::build).
    pub fn new(
        dimensions: &[Dimension],
        seed: Seed,
        settings: &Settings,
    ) -> Result<Self, OptimizerError> {
        let breeding = Breeding::new(Self::NAME, dimensions, seed, settings, settings.objectives)?;
        Ok(Self { breeding })
    }
}

impl Optimizer for Nsga2 {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn population_size(&self) -> usize {
        self.breeding.size
    }

    fn generation(&self) -> u64 {
        self.breeding.generation
    }

    fn ask(&self) -> Vec<Genotype> {
        self.breeding.offspring()
    }

    fn tell(&mut self, told: &[(Genotype, Costs)]) {
        self.breeding.tell(told);
    }

    /// The front of the population, lowest first cost first.
    fn recommend(&self) -> Vec<Genotype> {
        self.breeding.best(1)
    }
}
