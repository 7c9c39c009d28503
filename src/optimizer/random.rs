//! Uniform random search: the baseline that any learning has to beat.

use rand::{Rng, RngExt};

use super::encoding::{Encoding, interpolate};
use super::{Costs, Optimizer, OptimizerError, Settings, stream};
use crate::genome::{Dimension, Domain, Gene, Genotype};
use crate::units::Seed;

/// Draws every gene of every candidate uniformly from its domain.
#[derive(Debug, Clone)]
pub struct RandomSearch {
    seed: Seed,
    generation: u64,
    population: usize,
    dimensions: Vec<Dimension>,
}

impl RandomSearch {
    pub(super) const NAME: &'static str = "random";

    /// `settings.sigma` and the dimensions' `initial` play no part.
    ///
    /// # Errors
    /// As [`build`](super::build).
    pub fn new(
        dimensions: &[Dimension],
        seed: Seed,
        settings: &Settings,
    ) -> Result<Self, OptimizerError> {
        let population = settings.population_size(Encoding::new(dimensions)?.genes())?;
        Ok(Self { seed, generation: 0, population, dimensions: dimensions.to_vec() })
    }

    fn candidate(&self, index: usize) -> Genotype {
        let rng = &mut stream::candidate_rng(Self::NAME, self.seed, self.generation, index);
        Genotype(self.dimensions.iter().map(|dimension| uniform(&dimension.domain, rng)).collect())
    }
}

/// A value of `domain`, all equally likely.
pub(super) fn uniform(domain: &Domain, rng: &mut impl Rng) -> Gene {
    match domain {
        Domain::Continuous { low, high } => Gene::Real(interpolate(rng.random(), *low, *high)),
        Domain::Integer { low, high } => Gene::Integer(rng.random_range(*low..=*high)),
        Domain::Categorical { choices } => Gene::Category(rng.random_range(..choices.len())),
    }
}

impl Optimizer for RandomSearch {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn population_size(&self) -> usize {
        self.population
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn ask(&self) -> Vec<Genotype> {
        (0..self.population).map(|index| self.candidate(index)).collect()
    }

    fn tell(&mut self, _told: &[(Genotype, Costs)]) {
        self.generation += 1;
    }

    fn recommend(&self) -> Vec<Genotype> {
        Vec::new()
    }
}
