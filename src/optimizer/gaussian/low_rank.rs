//! A diagonal and a few directions: C = diag(d) (I + U Uᵀ) diag(d) with U of N × k.
//!
//! The model and the rates are those of VkD-CMA-ES (Akimoto & Hansen 2016, "Projection-based restricted
//! covariance matrix adaptation for high dimension", GECCO), with a fixed k. The updated covariance,
//! in coordinates scaled by d, is a multiple of the identity plus W Wᵀ with few columns; the k leading
//! directions of W Wᵀ are kept and what is left of each variance goes into d, so that every variance
//! is exactly that of the full update. O(N (k + μ)²) per generation, no N × N matrix.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand::Rng;

use super::rates::directions;
use super::{MOST_CONDITION, Step, standard_normal};

/// d and U, with U's columns orthogonal.
#[derive(Debug, Clone)]
pub(in crate::optimizer) struct LowRank {
    d: DVector<f64>,
    u: DMatrix<f64>,
    /// Squared lengths of U's columns.
    squares: Vec<f64>,
}

impl LowRank {
    /// The identity.
    pub(super) fn new(n: usize) -> Self {
        let k = directions(n);
        Self { d: DVector::repeat(n, 1.0), u: DMatrix::zeros(n, k), squares: vec![0.0; k] }
    }

    pub(super) fn matrix(&self) -> DMatrix<f64> {
        let d = DMatrix::from_diagonal(&self.d);
        let n = self.d.len();
        &d * (DMatrix::identity(n, n) + &self.u * self.u.transpose()) * &d
    }

    pub(super) fn set_diagonal(&mut self, variances: &DVector<f64>) {
        *self = Self { d: variances.map(f64::sqrt), ..Self::new(variances.len()) };
    }

    pub(super) fn draw(&self, rng: &mut impl Rng) -> DVector<f64> {
        let z = standard_normal(self.d.len(), rng);
        let along = standard_normal(self.squares.len(), rng);
        (z + &self.u * along).component_mul(&self.d)
    }

    /// (I + U Uᵀ)^(−1/2) diag(1/d) y, which is N(0, I) for y ~ N(0, C).
    pub(super) fn whitened(&self, y: &DVector<f64>) -> DVector<f64> {
        let scaled = y.component_div(&self.d);
        let mut along = self.u.tr_mul(&scaled);
        for (a, &square) in along.iter_mut().zip(&self.squares) {
            // (1 / √(1 + s) − 1) / s, without dividing by an s that may be 0.
            let root = (1.0 + square).sqrt();
            *a *= -1.0 / (root * (1.0 + root));
        }
        scaled + &self.u * along
    }

    pub(super) fn variances(&self) -> DVector<f64> {
        DVector::from_fn(self.d.len(), |i, _| {
            self.d[i].powi(2) * (1.0 + self.u.row(i).norm_squared())
        })
    }

    /// Tutorial, eq. 47, projected on the model. No weight is negative here.
    pub(super) fn update(&mut self, step: &Step) {
        let (leading, rest) = split(&self.added(step), self.squares.len());
        // diag(t²) of the new scale: what stays of the identity and the directions given up.
        let t = rest.map(|variance| (step.decay + variance).sqrt());
        self.d.component_mul_assign(&t);
        let bent =
            DMatrix::from_fn(leading.nrows(), leading.ncols(), |i, j| leading[(i, j)] / t[i]);
        (self.u, self.squares) = orthogonal(&bent);
        self.keep_conditioned();
    }

    /// W: what is added to `decay` · I, in coordinates scaled by d.
    fn added(&self, step: &Step) -> DMatrix<f64> {
        let scaled = |y: &DVector<f64>, c: f64| y.component_div(&self.d) * c.sqrt();
        let mut columns = vec![scaled(step.p_c, step.c_1)];
        let learnt = step.y.iter().zip(step.weights).filter(|(_, w)| **w > 0.0);
        columns.extend(learnt.map(|(y, w)| scaled(y, step.c_mu * w)));
        columns.extend(self.u.column_iter().map(|u| u * step.decay.max(0.0).sqrt()));
        DMatrix::from_columns(&columns)
    }

    /// Scales and directions both within the largest condition.
    fn keep_conditioned(&mut self) {
        let floor = self.d.max() / MOST_CONDITION.sqrt();
        self.d.apply(|d| *d = d.max(floor));
        for (mut column, square) in self.u.column_iter_mut().zip(&mut self.squares) {
            if *square > MOST_CONDITION {
                column *= (MOST_CONDITION / *square).sqrt();
                *square = MOST_CONDITION;
            }
        }
    }

    /// (least, largest) standard deviation over the axes of the two factors' product, by their bounds.
    pub(super) fn deviations(&self) -> (f64, f64) {
        let stretch = self.squares.iter().fold(0.0_f64, |a, &b| a.max(b));
        (self.d.min(), self.d.max() * (1.0 + stretch).sqrt())
    }
}

/// The `k` leading directions of W Wᵀ, longest first, and the variance per coordinate that they do not
/// hold.
///
/// The mean square r of the N − k others is taken off the kept ones, as in the maximum-likelihood
/// solution of probabilistic principal component analysis (Tipping & Bishop 1999, eq. 8): the diagonal
/// holds r along them too. Without that they grow and the others shrink, generation by generation.
fn split(w: &DMatrix<f64>, k: usize) -> (DMatrix<f64>, DVector<f64>) {
    let (mut turned, squares) = orthogonal(w);
    let kept = k.min(turned.ncols());
    let others = w.nrows().saturating_sub(k).max(1);
    let r = squares.iter().skip(kept).sum::<f64>() / others as f64;
    let mut rest = DVector::zeros(w.nrows());
    for (j, (mut column, square)) in turned.column_iter_mut().zip(squares).enumerate() {
        let given_up = if j < kept && square > r { r / square } else { 1.0 };
        rest += column.map(|x| given_up * x * x);
        column *= (1.0 - given_up).sqrt();
    }
    (turned.columns(0, kept).into_owned(), rest)
}

/// W times the eigenvectors of Wᵀ W: orthogonal columns with the same W Wᵀ, longest first, and their
/// squared lengths.
fn orthogonal(w: &DMatrix<f64>) -> (DMatrix<f64>, Vec<f64>) {
    let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(w.tr_mul(w));
    let mut order: Vec<usize> = (0..eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
    let turned = w * eigenvectors.select_columns(&order);
    (turned, order.iter().map(|&i| eigenvalues[i].max(0.0)).collect())
}
