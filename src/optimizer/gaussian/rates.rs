//! Learning rates of CMA-ES: functions of the number of coordinates, the weights and the shape.

use crate::optimizer::Covariance;

/// Symbols of Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772, Table 1.
#[derive(Debug, Clone)]
pub(in crate::optimizer) struct Rates {
    pub(super) c_1: f64,
    pub(super) c_mu: f64,
    pub(super) c_sigma: f64,
    pub(super) d_sigma: f64,
    pub(super) c_c: f64,
    /// E‖N(0, I)‖.
    pub(super) chi_n: f64,
}

impl Rates {
    /// Table 1 of the tutorial with α_cov = 2; `n` counts continuous and integer coordinates only, as
    /// in CatCMA. `active` takes c_mu of the tutorial's second version (2023, eq. 58), which goes with
    /// negative weights.
    pub(in crate::optimizer) fn new(
        n: usize,
        mu_eff: f64,
        covariance: Covariance,
        active: bool,
    ) -> Self {
        let n_f = n as f64;
        let offset = if active { 0.25 } else { 0.0 };
        let selection = 2.0 * (offset + mu_eff - 2.0 + 1.0 / mu_eff);
        let c_1 = 2.0 / ((n_f + 1.3).powi(2) + mu_eff);
        let c_mu = (selection / ((n_f + 2.0).powi(2) + mu_eff)).min(1.0 - c_1);
        let c_sigma = (mu_eff + 2.0) / (n_f + mu_eff + 5.0);
        let d_sigma = 1.0 + 2.0 * (((mu_eff - 1.0) / (n_f + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma;
        let c_c = (4.0 + mu_eff / n_f) / (n_f + 4.0 + 2.0 * mu_eff / n_f);
        let chi_n = n_f.sqrt() * (1.0 - 1.0 / (4.0 * n_f) + 1.0 / (21.0 * n_f * n_f));
        let full = Self { c_1, c_mu, c_sigma, d_sigma, c_c, chi_n };
        match covariance {
            Covariance::Full => full,
            Covariance::Diagonal => full.of_diagonal(n_f),
            Covariance::LowRank => full.of_low_rank(n_f, mu_eff),
        }
    }

    /// Ros & Hansen 2008, "A simple modification in CMA-ES achieving linear time and space complexity",
    /// section 3: N variances are learnt (N + 2) / 3 times as fast as N² entries.
    fn of_diagonal(self, n: f64) -> Self {
        let c_1 = (self.c_1 * (n + 2.0) / 3.0).min(0.5);
        let c_mu = (self.c_mu * (n + 2.0) / 3.0).min(1.0 - c_1);
        Self { c_1, c_mu, ..self }
    }

    /// Akimoto & Hansen 2016, "Projection-based restricted covariance matrix adaptation for high
    /// dimension", GECCO: rates by the number of free parameters N (k + 1).
    fn of_low_rank(self, n: f64, mu_eff: f64) -> Self {
        let k = directions(n as usize) as f64;
        let free = n * (k + 1.0);
        let c_1 = 2.0 / (free + n + 2.0 * (k + 2.0) + mu_eff);
        let selection = 2.0 * (mu_eff - 2.0 + 1.0 / mu_eff);
        let c_mu = (selection / (free + 4.0 * (k + 2.0) + mu_eff)).min(1.0 - c_1);
        Self { c_1, c_mu, c_c: c_1.sqrt(), ..self }
    }

    /// Largest sum of the negative weights' sizes (tutorial, eqs. 50 to 52): α_μ⁻, α_μeff⁻ and
    /// α_posdef⁻, whichever is least. `mu_eff_minus` is the effective selection mass of the negative
    /// raw weights.
    pub(in crate::optimizer) fn most_negative(
        &self,
        n: usize,
        mu_eff: f64,
        mu_eff_minus: f64,
    ) -> f64 {
        let alpha_mu = 1.0 + self.c_1 / self.c_mu;
        let alpha_mu_eff = 1.0 + 2.0 * mu_eff_minus / (mu_eff + 2.0);
        let alpha_posdef = (1.0 - self.c_1 - self.c_mu).max(0.0) / (n as f64 * self.c_mu);
        alpha_mu.min(alpha_mu_eff).min(alpha_posdef)
    }
}

/// Directions k that a low-rank covariance of `n` coordinates keeps.
pub(super) fn directions(n: usize) -> usize {
    n.isqrt().min(n.saturating_sub(1))
}
