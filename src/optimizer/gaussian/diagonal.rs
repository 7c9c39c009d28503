//! One variance per coordinate: sep-CMA-ES (Ros & Hansen 2008).

use nalgebra::DVector;
use rand::Rng;

use super::{MOST_CONDITION, Step, standard_normal};

/// Diagonal of C.
#[derive(Debug, Clone)]
pub(in crate::optimizer) struct Diagonal {
    pub(super) variances: DVector<f64>,
}

impl Diagonal {
    pub(super) fn new(n: usize) -> Self {
        Self { variances: DVector::repeat(n, 1.0) }
    }

    pub(super) fn draw(&self, rng: &mut impl Rng) -> DVector<f64> {
        standard_normal(self.variances.len(), rng).zip_map(&self.variances, |z, c| z * c.sqrt())
    }

    /// C^(−1/2) y.
    pub(super) fn whitened(&self, y: &DVector<f64>) -> DVector<f64> {
        y.zip_map(&self.variances, |y, c| y / c.sqrt())
    }

    /// The diagonal of the full update.
    pub(super) fn update(&mut self, step: &Step) {
        self.variances *= step.decay;
        self.variances += step.p_c.map(|p| step.c_1 * p * p);
        for (y, &w) in step.y.iter().zip(step.weights) {
            self.variances += y.map(|y| step.c_mu * w * y * y);
        }
        let floor = self.variances.max() / MOST_CONDITION;
        self.variances.apply(|c| *c = c.max(floor));
    }
}
