//! Owen-scrambled Sobol points: random search without its gaps and clumps.

use rand::RngExt;

use super::unit_cube::UnitCube;
use super::{Costs, Optimizer, OptimizerError, Settings, stream};
use crate::genome::{Dimension, Genotype};
use crate::units::Seed;

/// Candidates spread evenly over the domains, whatever their costs: of the first 2ᵏ candidates exactly one lies in each
/// of the 2ᵏ equal parts of any gene's range.
///
/// Point `generation` · `population` + `index` of the sequence of Burley, "Practical Hash-based Owen Scrambling", JCGT
/// 9(4), 2020. The sequence is 2¹⁶ points long; after them a new one with another scrambling begins.
#[derive(Debug, Clone)]
pub struct Sobol {
    seed: Seed,
    generation: u64,
    population: usize,
    cube: UnitCube,
}

/// log₂ of the length of a sequence of `sobol_burley`.
const SEQUENCE_BITS: u32 = 16;

impl Sobol {
    pub(super) const NAME: &'static str = "sobol";

    /// `settings.sigma`, `settings.warm_start` and the dimensions' `initial` play no part.
    ///
    /// # Errors
    /// As [`build`](super::build), and when more genes can vary than there are tabulated Sobol dimensions.
    pub fn new(
        dimensions: &[Dimension],
        seed: Seed,
        settings: &Settings,
    ) -> Result<Self, OptimizerError> {
        let cube = UnitCube::new(dimensions)?;
        let (got, most) = (cube.genes(), sobol_burley::NUM_DIMENSIONS as usize);
        if got > most {
            return Err(OptimizerError::TooManyGenes { optimizer: Self::NAME, got, most });
        }
        Ok(Self { seed, generation: 0, population: settings.population_size(got)?, cube })
    }

    fn candidate(&self, index: usize) -> Genotype {
        let place = self.generation.wrapping_mul(self.population as u64).wrapping_add(index as u64);
        let sequence = place >> SEQUENCE_BITS;
        let index = (place & ((1 << SEQUENCE_BITS) - 1)) as u32;
        let scrambling = stream::candidate_rng(Self::NAME, self.seed, sequence, 0).random();
        let coordinate = |dimension| f64::from(sobol_burley::sample(index, dimension, scrambling));
        let point: Vec<f64> = (0..self.cube.genes() as u32).map(coordinate).collect();
        self.cube.decode(&point)
    }
}

impl Optimizer for Sobol {
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
