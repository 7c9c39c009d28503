//! A genetic algorithm for a single cost: the baseline that knows no distribution.

use super::breeding::Breeding;
use super::{Costs, Optimizer, OptimizerError, Settings};
use crate::genome::{Dimension, Genotype};
use crate::units::Seed;

/// (μ+λ) with binary tournaments and the variation of [`Nsga2`](super::Nsga2); heeds the first cost only. The first
/// generation is uniform, `settings.warm_start` part of it; `settings.sigma` and the dimensions' `initial` play no part.
#[derive(Debug, Clone)]
pub struct Genetic {
    breeding: Breeding,
}

impl Genetic {
    pub(super) const NAME: &'static str = "ga";

    /// Minimises the first cost.
    ///
    /// # Errors
    /// As [`build`](super::build).
    pub fn new(
        dimensions: &[Dimension],
        seed: Seed,
        settings: &Settings,
    ) -> Result<Self, OptimizerError> {
        Ok(Self { breeding: Breeding::new(Self::NAME, dimensions, seed, settings, 1)? })
    }
}

impl Optimizer for Genetic {
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

    /// All parents, lowest observed cost first.
    fn recommend(&self) -> Vec<Genotype> {
        self.breeding.best(usize::MAX)
    }
}
