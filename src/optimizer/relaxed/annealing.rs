//! Simulated annealing.

use std::f64::consts::PI;

use argmin::core::{Error, IterState, State};
use argmin::solver::simulatedannealing::{SATempFunc, SimulatedAnnealing};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Beginning, INFEASIBLE, Method, Points, solver_rng, sown};
use crate::optimizer::unit_cube::{UnitCube, reflected};
use crate::optimizer::{OptimizerError, Settings};

/// One candidate after another, each a random move away from the last one accepted; the first generation is
/// `settings.population` candidates, the starts and uniform ones, of which the best is where annealing begins.
///
/// Their costs' standard deviation is the initial temperature T₀, at which half of all moves that cost little against it
/// and one in four that cost as much are accepted; at iteration i it is T₀ / i (argmin's `TemperatureFast`). A move adds to
/// every coordinate a Cauchy-distributed number, as is usual with that schedule (Szu and Hartley, "Fast simulated
/// annealing", Phys. Lett. A 122, 1987): most genes change a little and one now and then a lot, which a categorical gene has to.
/// Its scale is `settings.sigma` · √(T / T₀), so that near an optimum costs change in proportion to the temperature.
pub(in crate::optimizer) struct Annealing {
    pilots: usize,
    sigma: f64,
}

/// Initial temperature where the first candidates do not tell one: accuracies differ by about as much.
const TEMPERATURE: f64 = 0.1;

impl Method for Annealing {
    type Solver = SimulatedAnnealing<f64, Xoshiro256PlusPlus>;
    type State = IterState<Vec<f64>, (), (), (), (), f64>;

    const NAME: &'static str = "simulated-annealing";
    const INDEPENDENT_FROM: usize = 0;

    fn new(cube: &UnitCube, settings: &Settings) -> Result<Self, OptimizerError> {
        Ok(Self { pilots: settings.population_size(cube.genes())?, sigma: settings.sigma })
    }

    fn first_points(
        &self,
        _cube: &UnitCube,
        starts: &[Vec<f64>],
        _run: usize,
        rng: &mut ChaCha8Rng,
    ) -> Points {
        sown(starts, self.pilots, rng)
    }

    fn begin(
        &self,
        points: Points,
        costs: Vec<f64>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Beginning<Self>, Error> {
        let temperature = spread(&costs).unwrap_or(TEMPERATURE);
        let best = points.into_iter().zip(costs).min_by(|a, b| a.1.total_cmp(&b.1));
        let (point, cost) = best.unwrap_or_default();
        let solver = SimulatedAnnealing::new_with_rng(temperature, solver_rng(rng))?
            .with_temp_func(SATempFunc::TemperatureFast);
        let state = Self::State::new().param(point);
        let step = self.sigma / temperature.sqrt();
        Ok(Beginning { solver, state, answers: vec![cost], step })
    }
}

/// Standard deviation of the feasible costs; `None` if it is zero or there are fewer than two.
fn spread(costs: &[f64]) -> Option<f64> {
    let feasible: Vec<f64> = costs.iter().copied().filter(|cost| cost.abs() < INFEASIBLE).collect();
    let count = feasible.len() as f64;
    let mean = feasible.iter().sum::<f64>() / count;
    let squares: f64 = feasible.iter().map(|cost| (cost - mean).powi(2)).sum();
    let spread = (squares / (count - 1.0)).sqrt();
    (spread.is_finite() && spread > 0.0).then_some(spread)
}

/// `point` with a Cauchy-distributed number of scale `step` added to every coordinate, reflected into the cube.
pub(super) fn moved(point: &[f64], step: f64, rng: &mut impl Rng) -> Vec<f64> {
    let mut cauchy = || (PI * (rng.random::<f64>() - 0.5)).tan();
    point.iter().map(|x| reflected(x + step * cauchy())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_by_hand() {
        assert_eq!(spread(&[1.0, INFEASIBLE, 3.0, -INFEASIBLE, 5.0]), Some(2.0));
        assert_eq!(spread(&[1.0, 1.0]), None);
        assert_eq!(spread(&[1.0, INFEASIBLE]), None);
        assert_eq!(spread(&[]), None);
    }
}
