//! The Gaussian half of the search distribution: CMA-ES on continuous and integer coordinates.
//!
//! Symbols and equations are those of Hansen, "The CMA Evolution Strategy: A Tutorial",
//! arXiv:1604.00772. Samples are v = m + σ A y with y ~ N(0, C); the diagonal A, identity on
//! continuous coordinates, is that of CMA-ES with margin (Hamano et al., arXiv:2205.13482). C itself
//! has one of several [shapes](shape::Shape).

mod diagonal;
mod full;
mod low_rank;
mod rates;
pub(super) mod shape;

use nalgebra::DVector;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Covariance;
use super::encoding::Coordinate;
use super::margin;
pub(super) use rates::Rates;
use shape::{Shape, Step};

/// Draws per candidate before its coordinates are reflected into bounds.
const MOST_DRAWS: usize = 100;
/// Least variance in any direction, in squared fractions of the range (CatCMA, arXiv:2405.09962).
const LEAST_VARIANCE: f64 = 1e-30;
/// Largest ratio of eigenvalues of C.
const MOST_CONDITION: f64 = 1e14;
/// Least and largest extent of the distribution, relative to its first (tutorial, B.3).
const TOL_X: f64 = 1e-12;
const TOL_X_UP: f64 = 1e4;

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
    /// Initial σ.
    sigma_0: f64,
    pub(super) shape: Shape,
    pub(super) A: DVector<f64>,
    p_sigma: DVector<f64>,
    p_c: DVector<f64>,
    /// Updates made, for the path's early bias in h_σ.
    g: i32,
}

impl Gaussian {
    /// Starts at `start` with C = I; `alpha` is the margin of integer coordinates.
    pub(super) fn new(
        coordinates: &[Coordinate],
        start: &[f64],
        sigma: f64,
        (covariance, rates): (Covariance, Rates),
        alpha: f64,
    ) -> Self {
        let n = coordinates.len();
        Self {
            coordinates: coordinates.to_vec(),
            alpha,
            m: DVector::from_column_slice(start),
            sigma,
            sigma_0: sigma,
            shape: Shape::new(covariance, n, &rates),
            rates,
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
        &self.m + self.A.component_mul(&self.shape.draw(rng)) * self.sigma
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

    /// `v`, drawn towards the mean if it is further out than a sample would be: an injected candidate
    /// must not throw the distribution off (Hansen 2011, "Injecting external solutions into CMA-ES",
    /// arXiv:1110.4181, eq. 5, with c_y = √N + 2 N / (N + 2)).
    pub(super) fn within_reach(&self, v: &DVector<f64>) -> DVector<f64> {
        let n = self.m.len() as f64;
        let y = self.standardized(v);
        let share = ((n.sqrt() + 2.0 * n / (n + 2.0)) / self.shape.whitened(&y).norm()).min(1.0);
        &self.m + self.A.component_mul(&y) * (share * self.sigma)
    }

    /// One generation: `samples` as drawn, with the recombination weight of each. Negative weights
    /// move C only.
    pub(super) fn update(&mut self, weights: &[f64], samples: &[&DVector<f64>]) {
        self.g += 1;
        let y: Vec<DVector<f64>> = samples.iter().map(|v| self.standardized(v)).collect();
        let better = || y.iter().zip(weights).filter(|(_, w)| **w > 0.0);
        let y_w = better().fold(DVector::zeros(self.m.len()), |sum, (y, &w)| sum + y * w);
        // Eqs. 41 and 42, c_m = 1.
        self.m += self.A.component_mul(&y_w) * self.sigma;
        // Under random ranking y_w ~ N(0, Σ w² C); ties and infeasible candidates make 1/Σ w²
        // differ from μ_eff.
        let squares: f64 = better().map(|(_, w)| w * w).sum();
        if squares > 0.0 {
            let unit = y_w / squares.sqrt();
            let h_sigma = self.update_step_size(&unit);
            self.update_covariance(weights, &y, &unit, h_sigma);
        }
        let (least, _) = self.shape.deviations();
        self.sigma = self.sigma.max(LEAST_VARIANCE.sqrt() / least);
        margin::correct(
            &self.coordinates,
            self.alpha,
            &mut self.m,
            &mut self.A,
            &self.shape.variances(),
            self.sigma,
        );
    }

    fn standardized(&self, v: &DVector<f64>) -> DVector<f64> {
        (v - &self.m).component_div(&self.A) / self.sigma
    }

    /// Eqs. 43 and 44; returns h_σ. The exponent's bound of 1 is that of Hansen's reference code:
    /// reflected candidates can be improbably far out.
    fn update_step_size(&mut self, unit: &DVector<f64>) -> bool {
        let Rates { c_sigma, d_sigma, chi_n, .. } = self.rates;
        let n = self.m.len() as f64;
        self.p_sigma = &self.p_sigma * (1.0 - c_sigma)
            + self.shape.whitened(unit) * (c_sigma * (2.0 - c_sigma)).sqrt();
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
        let decay = 1.0 + c_1 * delta - c_1 - c_mu * weights.iter().sum::<f64>();
        let weights: Vec<f64> =
            y.iter().zip(weights).map(|(y, &w)| self.bounded_weight(y, w)).collect();
        self.shape.update(&Step { decay, c_1, c_mu, p_c: &self.p_c, y, weights: &weights });
    }

    /// Eq. 46: a negative weight takes away as much whatever the length of `y`, so that C stays
    /// positive definite.
    fn bounded_weight(&self, y: &DVector<f64>, w: f64) -> f64 {
        if w >= 0.0 {
            return w;
        }
        let n = self.m.len() as f64;
        w * n / self.shape.whitened(y).norm_squared().max(f64::MIN_POSITIVE)
    }

    /// Of each coordinate, in fractions of its range.
    pub(super) fn standard_deviations(&self) -> Vec<f64> {
        let variances = self.shape.variances();
        self.A.iter().zip(variances.iter()).map(|(a, c)| self.sigma * a * c.sqrt()).collect()
    }

    /// The mean, continuous coordinates within bounds.
    pub(super) fn mode(&self) -> DVector<f64> {
        self.bounded(self.m.clone(), |x| x.clamp(0.0, 1.0))
    }

    /// Whether the distribution itself can go no further (tutorial, appendix B.3): TolX, TolXUp,
    /// ConditionCov, NoEffectAxis and NoEffectCoord. Costs play no part, so noise cannot trigger it.
    pub(super) fn exhausted(&self) -> bool {
        let (least, largest) = self.shape.deviations();
        let deviations = self.shape.variances().map(|c| self.sigma * c.sqrt());
        let size = deviations.max().max(self.sigma * self.p_c.amax());
        size < TOL_X * self.sigma_0
            || self.sigma * largest > TOL_X_UP * self.sigma_0
            || (largest / least).powi(2) >= 0.99 * MOST_CONDITION
            || self.without_effect(&deviations)
    }

    /// NoEffectAxis and NoEffectCoord: steps too small for the mean's floating-point numbers.
    fn without_effect(&self, deviations: &DVector<f64>) -> bool {
        let unmoved = |i: usize, step: f64| self.m[i] == self.m[i] + self.A[i] * step;
        let axis = self.shape.axis(self.g as usize);
        let along = |axis: DVector<f64>| {
            axis.iter().enumerate().all(|(i, y)| unmoved(i, 0.1 * self.sigma * y))
        };
        axis.is_some_and(along)
            || deviations.iter().enumerate().any(|(i, deviation)| unmoved(i, 0.2 * deviation))
    }
}

/// N(0, I) over `n` coordinates.
fn standard_normal(n: usize, rng: &mut impl Rng) -> DVector<f64> {
    DVector::from_fn(n, |_, _| StandardNormal.sample(rng))
}

/// `x` folded into [0, 1] as by mirrors at both ends.
fn reflected(x: f64) -> f64 {
    1.0 - (x.rem_euclid(2.0) - 1.0).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isotropic(n: usize) -> Gaussian {
        let rates = Rates::new(n, 3.0, Covariance::Full, true);
        let coordinates = vec![Coordinate::Real; n];
        Gaussian::new(&coordinates, &vec![0.5; n], 0.1, (Covariance::Full, rates), 0.1)
    }

    /// Eq. 46 by hand: −0.5 · 4 / 10² for a step ten standard deviations long, whatever its sign;
    /// positive weights stay.
    #[test]
    fn negative_weights_do_not_grow_with_the_step() {
        let gaussian = isotropic(4);
        let y = DVector::from_vec(vec![0.0, -10.0, 0.0, 0.0]);
        assert!((gaussian.bounded_weight(&y, -0.5) + 0.02).abs() < 1e-15);
        assert_eq!(gaussian.bounded_weight(&y, 0.5), 0.5);
    }

    /// c_y by hand for N = 4: √4 + 8 / 6 = 3.3333 standard deviations.
    #[test]
    fn injected_candidates_are_drawn_in() {
        let gaussian = isotropic(4);
        let far = DVector::from_vec(vec![0.5, 0.5, 1.5, 0.5]);
        let got = gaussian.within_reach(&far);
        assert!((got[2] - (0.5 + 0.1 * 10.0 / 3.0)).abs() < 1e-12, "{got}");
        let near = DVector::from_vec(vec![0.5, 0.6, 0.5, 0.4]);
        assert!((gaussian.within_reach(&near) - near).amax() < 1e-15);
    }

    /// TolX, TolXUp and NoEffectCoord, each by setting σ alone.
    #[test]
    fn extremes_of_sigma_exhaust_it() {
        let with = |sigma| Gaussian { sigma, ..isotropic(4) };
        assert!(!with(0.1).exhausted() && !with(1e-9).exhausted() && !with(900.0).exhausted());
        assert!(with(0.9e-13).exhausted() && with(1.1e3).exhausted());
        let fine = Gaussian { sigma_0: 1e-9, ..with(1e-16) };
        assert!(fine.exhausted());
    }
}
