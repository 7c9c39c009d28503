//! Regression on many points through a few: the projected process.
//!
//! "Deterministic training conditional" of Quiñonero-Candela & Rasmussen 2005 (JMLR 6, section 5): n points, m inducing
//! ones, O(n m²).

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use super::kernel::{Kernel, Point};

/// Added to the inducing points' matrix, relative to the signal's variance, so that duplicates do not make it singular.
const JITTER: f64 = 1e-6;

/// Expected cost of any candidate, and how sure that is.
#[derive(Debug, Clone)]
pub(super) struct Posterior {
    kernel: Kernel,
    inducing: Vec<Point>,
    /// Of K_mm.
    prior: Cholesky<f64, Dyn>,
    /// Of λ K_mm + K_mn K_nm, λ the noise over the signal.
    precision: Cholesky<f64, Dyn>,
    weights: DVector<f64>,
    mean: f64,
    /// Of the signal.
    variance: f64,
}

impl Posterior {
    /// `None` where a matrix is not positive definite.
    pub(super) fn new(
        kernel: Kernel,
        inducing: Vec<Point>,
        points: &[Point],
        y: &[f64],
    ) -> Option<Self> {
        let m = inducing.len();
        let mut k_mm =
            DMatrix::from_fn(m, m, |i, j| kernel.correlation(&inducing[i], &inducing[j]));
        (0..m).for_each(|i| k_mm[(i, i)] += JITTER);
        let k_mn =
            DMatrix::from_fn(m, points.len(), |i, j| kernel.correlation(&inducing[i], &points[j]));
        let precision = Cholesky::new(&k_mm * kernel.noise() + &k_mn * k_mn.transpose())?;
        let prior = Cholesky::new(k_mm)?;
        let (y, ones) = (DVector::from_column_slice(y), DVector::repeat(points.len(), 1.0));
        let whiten = |v: &DVector<f64>| v - k_mn.tr_mul(&precision.solve(&(&k_mn * v)));
        let (of_y, of_ones) = (whiten(&y), whiten(&ones));
        let mean = of_y.sum() / of_ones.sum();
        let quadratic = y.dot(&of_y) - mean * of_y.sum();
        let variance = (quadratic / kernel.noise() / points.len() as f64).max(0.0);
        let weights = precision.solve(&(&k_mn * (y - ones * mean)));
        Some(Self { kernel, inducing, prior, precision, weights, mean, variance })
    }

    fn row(&self, at: &Point) -> DVector<f64> {
        let m = self.inducing.len();
        DVector::from_iterator(m, self.inducing.iter().map(|p| self.kernel.correlation(p, at)))
    }

    /// Expectation plus `caution` standard deviations.
    pub(super) fn upper_bound(&self, at: &Point, caution: f64) -> f64 {
        let (mean, sd) = self.predict(at);
        mean + caution * sd
    }

    /// Expectation and standard deviation, noise left out.
    pub(super) fn predict(&self, at: &Point) -> (f64, f64) {
        let row = self.row(at);
        let expected = self.mean + row.dot(&self.weights);
        let whitened = |cholesky: &Cholesky<f64, Dyn>| {
            let mut solved = row.clone();
            cholesky.l_dirty().solve_lower_triangular_mut(&mut solved);
            solved.norm_squared()
        };
        let share = 1.0 - whitened(&self.prior) + self.kernel.noise() * whitened(&self.precision);
        (expected, (self.variance * share.max(0.0)).sqrt())
    }
}
