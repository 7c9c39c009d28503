//! Choice of the hyperparameters: marginal likelihood of an exact Gaussian process on a few points.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::kernel::{Kernel, Point};

/// Rounds of coordinate search over the hyperparameters, and the step of each in ln θ.
const ROUNDS: usize = 8;
const STEP: f64 = 0.4;

/// Maximum a posteriori by coordinate search from the prior's centre.
pub(super) fn most_likely(points: &[&Point], y: &[f64]) -> Kernel {
    let mut best = Kernel::default();
    let score = |kernel: &Kernel| {
        log_likelihood(points, y, kernel).map_or(f64::NEG_INFINITY, |l| l + kernel.log_prior())
    };
    let mut top = score(&best);
    for _ in 0..ROUNDS {
        let before = top;
        for index in 0..best.theta.len() {
            for step in [STEP, -STEP] {
                let mut other = best;
                other.theta[index] += step;
                let likelihood = score(&other);
                if likelihood > top {
                    (best, top) = (other, likelihood);
                    break;
                }
            }
        }
        if top == before {
            break;
        }
    }
    best
}

/// Logarithm of the marginal likelihood with mean and signal variance at their best, up to a constant (Rasmussen &
/// Williams 2006, eq. 2.30); `None` where the matrix is not positive definite.
pub(super) fn log_likelihood(points: &[&Point], y: &[f64], kernel: &Kernel) -> Option<f64> {
    let n = points.len();
    let mut k = DMatrix::zeros(n, n);
    for (j, b) in points.iter().enumerate() {
        for (i, a) in points.iter().enumerate().skip(j) {
            k[(i, j)] = kernel.correlation(a, b);
        }
        k[(j, j)] += kernel.noise();
    }
    let cholesky = Cholesky::new(k)?;
    let (y, ones) = (DVector::from_column_slice(y), DVector::repeat(n, 1.0));
    let (of_y, of_ones) = (cholesky.solve(&y), cholesky.solve(&ones));
    let mean = of_y.sum() / of_ones.sum();
    let variance = (y.dot(&of_y) - mean * of_y.sum()) / n as f64;
    let half_log_determinant: f64 = cholesky.l_dirty().diagonal().iter().map(|d| d.ln()).sum();
    Some(-0.5 * n as f64 * variance.max(f64::MIN_POSITIVE).ln() - half_log_determinant)
}
