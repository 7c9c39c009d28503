//! Particle swarm.

use argmin::core::{Error, PopulationState};
use argmin::solver::particleswarm::{Particle, ParticleSwarm};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Beginning, Method, Points, collapsed, solver_rng, sown};
use crate::optimizer::unit_cube::UnitCube;
use crate::optimizer::{OptimizerError, Settings};

/// A swarm of `settings.population` particles with argmin's weights, confined to the unit cube. The first positions are
/// the starts, the others uniform, and so are the velocities in [−1, 1]. A swarm that has met
/// in one point starts again. `settings.sigma` plays no part.
pub(in crate::optimizer) struct Swarm {
    particles: usize,
}

impl Method for Swarm {
    type Solver = ParticleSwarm<Vec<f64>, f64, Xoshiro256PlusPlus>;
    type State = PopulationState<Particle<Vec<f64>, f64>, f64>;

    const NAME: &'static str = "particle-swarm";
    const INDEPENDENT_FROM: usize = 0;

    fn new(cube: &UnitCube, settings: &Settings) -> Result<Self, OptimizerError> {
        Ok(Self { particles: settings.population_size(cube.genes())? })
    }

    fn first_points(
        &self,
        _cube: &UnitCube,
        starts: &[Vec<f64>],
        _run: usize,
        rng: &mut ChaCha8Rng,
    ) -> Points {
        sown(starts, self.particles, rng)
    }

    fn begin(
        &self,
        points: Points,
        costs: Vec<f64>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Beginning<Self>, Error> {
        let genes = points.first().map_or(0, Vec::len);
        let particle = |(point, cost): (Vec<f64>, f64)| {
            let velocity = (0..genes).map(|_| rng.random_range(-1.0..=1.0)).collect();
            Particle::new(point, cost, velocity)
        };
        let particles: Vec<_> = points.into_iter().zip(costs).map(particle).collect();
        let cube = (vec![0.0; genes], vec![1.0; genes]);
        let solver = ParticleSwarm::new(cube, particles.len()).with_rng_generator(solver_rng(rng));
        let state: Self::State = argmin::core::State::new();
        let state = state.population(particles);
        Ok(Beginning { solver, state, answers: Vec::new(), step: 0.0 })
    }

    /// argmin's swarm stands still for ever once it has met.
    fn is_over(&self, _state: &Self::State, points: &[Vec<f64>]) -> bool {
        points.first().is_some_and(|first| collapsed(points, first))
    }
}
