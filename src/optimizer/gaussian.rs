//! The Gaussian half of the search distribution: CMA-ES on continuous and integer coordinates.
//!
//! Symbols and equations are those of Hansen, "The CMA Evolution Strategy: A Tutorial",
//! arXiv:1604.00772, with positive weights only. Samples are v = m + σ A y with y ~ N(0, C); the
//! diagonal A, identity on continuous coordinates, is that of CMA-ES with margin (Hamano et al.,
//! arXiv:2205.13482).

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::encoding::{Coordinate, Encoding};
use super::margin;

/// Draws per candidate before its coordinates are reflected into bounds.
const MOST_DRAWS: usize = 100;
/// Least variance in any direction, in squared fractions of the range (CatCMA, arXiv:2405.09962).
const LEAST_VARIANCE: f64 = 1e-30;
/// Largest ratio of eigenvalues of C.
const MOST_CONDITION: f64 = 1e14;

/// Learning rates; functions of the number of coordinates N and μ_eff alone.
#[derive(Debug, Clone)]
struct Rates {
    c_1: f64,
    c_mu: f64,
    c_sigma: f64,
    d_sigma: f64,
    c_c: f64,
    /// E‖N(0, I)‖.
    chi_n: f64,
}

impl Rates {
    /// Table 1 of the tutorial (2016), with α_cov = 2; c_1 and c_mu depend on continuous and
    /// integer coordinates only, as in CatCMA.
    fn new(n: f64, mu_eff: f64) -> Self {
        let c_1 = 2.0 / ((n + 1.3).powi(2) + mu_eff);
        let c_mu =
            (2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((n + 2.0).powi(2) + mu_eff)).min(1.0 - c_1);
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        let d_sigma = 1.0 + 2.0 * (((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma;
        let c_c = (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n);
        let chi_n = n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n));
        Self { c_1, c_mu, c_sigma, d_sigma, c_c, chi_n }
    }
}

/// N(m, σ² A C A) over N coordinates, with the paths that adapt it.
#[derive(Debug, Clone)]
#[allow(non_snake_case)]
pub(super) struct Gaussian {
    coordinates: Vec<Coordinate>,
    rates: Rates,
    /// Least probability of leaving an integer coordinate's cell.
    alpha: f64,
    pub(super) m: DVector<f64>,
    pub(super) sigma: f64,
    pub(super) C: DMatrix<f64>,
    /// C = B diag(D²) Bᵀ.
    B: DMatrix<f64>,
    D: DVector<f64>,
    pub(super) A: DVector<f64>,
    p_sigma: DVector<f64>,
    p_c: DVector<f64>,
    /// Updates made, for the path's early bias in h_σ.
    g: i32,
}

impl Gaussian {
    /// Starts at the encoding's start with C = I; `alpha` is the margin of integer coordinates.
    pub(super) fn new(encoding: &Encoding, sigma: f64, mu_eff: f64, alpha: f64) -> Self {
        let n = encoding.coordinates.len();
        Self {
            coordinates: encoding.coordinates.clone(),
            rates: Rates::new(n as f64, mu_eff),
            alpha,
            m: DVector::from_column_slice(&encoding.start),
            sigma,
            C: DMatrix::identity(n, n),
            B: DMatrix::identity(n, n),
            D: DVector::repeat(n, 1.0),
            A: DVector::repeat(n, 1.0),
            p_sigma: DVector::zeros(n),
            p_c: DVector::zeros(n),
            g: 0,
        }
    }

    /// A sample whose continuous coordinates lie in [0, 1]: drawn again up to 100 times, then
    /// reflected at the bounds. In many dimensions few draws fall inside, and clipping would then
    /// pile candidates up on the faces.
    pub(super) fn sample(&self, rng: &mut impl Rng) -> DVector<f64> {
        let mut v = self.draw(rng);
        for _ in 1..MOST_DRAWS {
            if self.within_bounds(&v) {
                return v;
            }
            v = self.draw(rng);
        }
        self.bounded(v, reflected)
    }

    fn draw(&self, rng: &mut impl Rng) -> DVector<f64> {
        let z = DVector::from_fn(self.m.len(), |_, _| StandardNormal.sample(rng));
        let y = &self.B * self.D.component_mul(&z);
        &self.m + self.A.component_mul(&y) * self.sigma
    }

    fn within_bounds(&self, v: &DVector<f64>) -> bool {
        let inside =
            |(c, x): (&Coordinate, &f64)| *c != Coordinate::Real || (0.0..=1.0).contains(x);
        self.coordinates.iter().zip(v.iter()).all(inside)
    }

    /// `v` with `repair` applied to its continuous coordinates.
    fn bounded(&self, mut v: DVector<f64>, repair: fn(f64) -> f64) -> DVector<f64> {
        for (c, x) in self.coordinates.iter().zip(v.iter_mut()) {
            if *c == Coordinate::Real {
                *x = repair(*x);
            }
        }
        v
    }

    /// One generation: `samples` as drawn, with the recombination weight of each.
    pub(super) fn update(&mut self, weights: &[f64], samples: &[&DVector<f64>]) {
        self.g += 1;
        let y: Vec<DVector<f64>> = samples.iter().map(|v| self.standardized(v)).collect();
        let y_w =
            y.iter().zip(weights).fold(DVector::zeros(self.m.len()), |sum, (y, &w)| sum + y * w);
        // Eqs. 41 and 42, c_m = 1.
        self.m += self.A.component_mul(&y_w) * self.sigma;
        // Under random ranking y_w ~ N(0, Σ w² C); ties and infeasible candidates make 1/Σ w²
        // differ from μ_eff.
        let unit = y_w / weights.iter().map(|w| w * w).sum::<f64>().sqrt();
        let h_sigma = self.update_step_size(&unit);
        self.update_covariance(weights, &y, &unit, h_sigma);
        self.decompose();
        margin::correct(
            &self.coordinates,
            self.alpha,
            &mut self.m,
            &mut self.A,
            &self.C,
            self.sigma,
        );
    }

    fn standardized(&self, v: &DVector<f64>) -> DVector<f64> {
        (v - &self.m).component_div(&self.A) / self.sigma
    }

    /// C^(−1/2) y.
    fn whitened(&self, y: &DVector<f64>) -> DVector<f64> {
        &self.B * self.B.tr_mul(y).component_div(&self.D)
    }

    /// Eqs. 43 and 44; returns h_σ. The exponent's bound of 1 is that of Hansen's reference code:
    /// reflected candidates can be improbably far out.
    fn update_step_size(&mut self, unit: &DVector<f64>) -> bool {
        let Rates { c_sigma, d_sigma, chi_n, .. } = self.rates;
        let n = self.m.len() as f64;
        self.p_sigma = &self.p_sigma * (1.0 - c_sigma)
            + self.whitened(unit) * (c_sigma * (2.0 - c_sigma)).sqrt();
        let length = self.p_sigma.norm();
        self.sigma *= (c_sigma / d_sigma * (length / chi_n - 1.0)).min(1.0).exp();
        let expected = (1.0 - (1.0 - c_sigma).powi(2 * (self.g + 1))).sqrt() * chi_n;
        length < (1.4 + 2.0 / (n + 1.0)) * expected
    }

    /// Eqs. 45 and 47, rank-one and rank-μ.
    fn update_covariance(
        &mut self,
        weights: &[f64],
        y: &[DVector<f64>],
        unit: &DVector<f64>,
        h_sigma: bool,
    ) {
        let Rates { c_1, c_mu, c_c, .. } = self.rates;
        self.p_c *= 1.0 - c_c;
        if h_sigma {
            self.p_c += unit * (c_c * (2.0 - c_c)).sqrt();
        }
        let delta = if h_sigma { 0.0 } else { c_c * (2.0 - c_c) };
        self.C *= 1.0 + c_1 * delta - c_1 - c_mu * weights.iter().sum::<f64>();
        self.C.ger(c_1, &self.p_c, &self.p_c, 1.0);
        for (y, &w) in y.iter().zip(weights) {
            if w > 0.0 {
                self.C.ger(c_mu * w, y, y, 1.0);
            }
        }
    }

    /// Sets B and D from C, keeping C well conditioned and every direction's variance above the
    /// least.
    pub(super) fn decompose(&mut self) {
        self.C = (&self.C + self.C.transpose()) * 0.5;
        let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(self.C.clone());
        let floor = eigenvalues.max() / MOST_CONDITION;
        self.D = eigenvalues.map(|e| e.max(floor).sqrt());
        self.B = eigenvectors;
        if eigenvalues.min() < floor {
            self.C = &self.B * DMatrix::from_diagonal(&self.D.map(|d| d * d)) * self.B.transpose();
        }
        self.sigma = self.sigma.max(LEAST_VARIANCE.sqrt() / self.D.min());
    }

    /// Of each coordinate, in fractions of its range.
    pub(super) fn standard_deviations(&self) -> Vec<f64> {
        self.C
            .diagonal()
            .iter()
            .zip(self.A.iter())
            .map(|(c, a)| self.sigma * a * c.sqrt())
            .collect()
    }

    /// The mean, continuous coordinates within bounds.
    pub(super) fn mode(&self) -> DVector<f64> {
        self.bounded(self.m.clone(), |x| x.clamp(0.0, 1.0))
    }
}

/// `x` folded into [0, 1] as by mirrors at both ends.
fn reflected(x: f64) -> f64 {
    1.0 - (x.rem_euclid(2.0) - 1.0).abs()
}
