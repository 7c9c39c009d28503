//! Nelder-Mead.

use argmin::core::{Error, IterState, State};
use argmin::solver::neldermead::NelderMead;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Beginning, Method, Points, collapsed, uniform};
use crate::optimizer::unit_cube::UnitCube;
use crate::optimizer::{OptimizerError, Settings};

/// A simplex with argmin's coefficients, all vertices of which are the first generation of a run; after that a generation
/// is a single candidate, but all new vertices where the simplex shrinks.
///
/// Run k begins at start k, runs beyond the starts at a random point. The other vertices lie along the axes, to a random
/// side, `settings.sigma` times a number in [½, 3/2] away and at least so far that another value of the gene is
/// reached. `settings.population` plays no part.
pub(in crate::optimizer) struct Simplex {
    sigma: f64,
}

/// Distance from the cube, in its sides, beyond which the simplex follows reflections of reflections.
const FAR: f64 = 1e3;

impl Method for Simplex {
    type Solver = NelderMead<Vec<f64>, f64>;
    type State = IterState<Vec<f64>, (), (), (), (), f64>;

    const NAME: &'static str = "nelder-mead";
    /// Reflection, then expansion or contraction, each chosen by the cost before it; what follows is a shrinking.
    const INDEPENDENT_FROM: usize = 2;

    fn new(cube: &UnitCube, settings: &Settings) -> Result<Self, OptimizerError> {
        settings.population_size(cube.genes())?;
        Ok(Self { sigma: settings.sigma })
    }

    fn first_points(
        &self,
        cube: &UnitCube,
        starts: &[Vec<f64>],
        run: usize,
        rng: &mut ChaCha8Rng,
    ) -> Points {
        let start = starts.get(run).cloned().unwrap_or_else(|| uniform(cube.genes(), rng));
        let mut points = vec![start.clone()];
        for (axis, cells) in cube.cells().enumerate() {
            let length = (self.sigma * rng.random_range(0.5..1.5)).max(1.0 / cells);
            let edge = if rng.random() { length } else { -length };
            let mut vertex = start.clone();
            vertex.iter_mut().skip(axis).take(1).for_each(|x| *x += edge);
            points.push(vertex);
        }
        points
    }

    fn begin(
        &self,
        points: Points,
        costs: Vec<f64>,
        _rng: &mut ChaCha8Rng,
    ) -> Result<Beginning<Self>, Error> {
        let solver = NelderMead::new(points);
        Ok(Beginning { solver, state: Self::State::new(), answers: costs, step: 0.0 })
    }

    /// Costs with noise never become equal, which is what argmin waits for; and costs that fall for ever would take
    /// the simplex to infinity.
    fn is_over(&self, state: &Self::State, points: &[Vec<f64>]) -> bool {
        let Some(best) = state.get_param() else { return false };
        (points.len() > 1 && collapsed(points, best)) || best.iter().any(|x| x.abs() > FAR)
    }
}
