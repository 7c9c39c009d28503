//! All covariances: C = B diag(D²) Bᵀ.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand::Rng;

use super::{MOST_CONDITION, Step, standard_normal};

/// C with its eigendecomposition, which may lag behind by some generations.
#[derive(Debug, Clone)]
#[allow(non_snake_case)]
pub(in crate::optimizer) struct Full {
    pub(in crate::optimizer) C: DMatrix<f64>,
    B: DMatrix<f64>,
    pub(super) D: DVector<f64>,
    /// Generations that C may change before it is decomposed again.
    lag: usize,
    age: usize,
}

impl Full {
    /// The identity. An eigendecomposition is O(N³), and C hardly changes within
    /// 1 / (10 N (c_1 + c_mu)) generations, which is what `learning` is the c_1 + c_mu of (tutorial, B.2).
    pub(super) fn new(n: usize, learning: f64) -> Self {
        Self {
            C: DMatrix::identity(n, n),
            B: DMatrix::identity(n, n),
            D: DVector::repeat(n, 1.0),
            lag: ((1.0 / (10.0 * n as f64 * learning)) as usize).max(1),
            age: 0,
        }
    }

    #[allow(non_snake_case)]
    pub(super) fn set(&mut self, C: DMatrix<f64>) {
        self.C = C;
        self.decompose();
    }

    pub(super) fn draw(&self, rng: &mut impl Rng) -> DVector<f64> {
        let z = standard_normal(self.D.len(), rng);
        &self.B * self.D.component_mul(&z)
    }

    /// C^(−1/2) y.
    pub(super) fn whitened(&self, y: &DVector<f64>) -> DVector<f64> {
        &self.B * self.B.tr_mul(y).component_div(&self.D)
    }

    /// Tutorial, eq. 47.
    pub(super) fn update(&mut self, step: &Step) {
        self.C *= step.decay;
        self.C.ger(step.c_1, step.p_c, step.p_c, 1.0);
        for (y, &w) in step.y.iter().zip(step.weights) {
            if w != 0.0 {
                self.C.ger(step.c_mu * w, y, y, 1.0);
            }
        }
        self.age += 1;
        if self.age >= self.lag {
            self.decompose();
        }
    }

    /// Sets B and D from C, keeping C well conditioned.
    fn decompose(&mut self) {
        self.age = 0;
        self.C = (&self.C + self.C.transpose()) * 0.5;
        let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(self.C.clone());
        let floor = eigenvalues.max() / MOST_CONDITION;
        self.D = eigenvalues.map(|e| e.max(floor).sqrt());
        self.B = eigenvectors;
        if eigenvalues.min() < floor {
            self.C = &self.B * DMatrix::from_diagonal(&self.D.map(|d| d * d)) * self.B.transpose();
        }
    }

    /// Principal axis `i`, one standard deviation long.
    pub(super) fn axis(&self, i: usize) -> DVector<f64> {
        self.B.column(i) * self.D[i]
    }
}
