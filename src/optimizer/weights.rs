//! Recombination weights by rank, shared among ties.

use super::Costs;

/// Recombination weights of a population of λ (Hansen 2016, arXiv:1604.00772, eqs. 49 and 53):
/// w_i ∝ ln((λ+1)/2) − ln i for the best ⌊λ/2⌋, summing to 1, and zero for the rest, unless
/// [`with_negative`](Self::with_negative).
#[derive(Debug, Clone)]
pub(super) struct Weights {
    by_rank: Vec<f64>,
    /// Variance effective selection mass μ_eff = 1 / Σ w_i² (ibid., eq. 8).
    pub(super) mu_eff: f64,
}

impl Weights {
    pub(super) fn new(lambda: usize) -> Self {
        let mut by_rank: Vec<f64> =
            (0..lambda).map(|i| if i < lambda / 2 { raw(lambda, i) } else { 0.0 }).collect();
        let sum: f64 = by_rank.iter().sum();
        by_rank.iter_mut().for_each(|w| *w /= sum);
        let mu_eff = 1.0 / by_rank.iter().map(|w| w * w).sum::<f64>();
        Self { by_rank, mu_eff }
    }

    /// Those of active CMA, which also learns from the worse half; under evaluation noise they lost.
    /// `most` is given the effective selection mass of the negative raw weights and gives the sum of
    /// the negative weights' sizes.
    pub(super) fn with_negative(mut self, most: impl Fn(f64) -> f64) -> Self {
        let lambda = self.lambda();
        let negative: Vec<f64> = (0..lambda).map(|i| raw(lambda, i).min(0.0)).collect();
        let sum: f64 = negative.iter().sum();
        let scale = most(sum * sum / negative.iter().map(|w| w * w).sum::<f64>()) / sum.abs();
        for (w, raw) in self.by_rank.iter_mut().zip(negative) {
            *w += scale * raw;
        }
        self
    }

    pub(super) fn lambda(&self) -> usize {
        self.by_rank.len()
    }

    /// The weight of each candidate. Where the costs were resampled it is the mean over the resamples of the weight that
    /// each would have given: who is surely among the best gets a large one, and two candidates whose order is a coin
    /// flip get the same. A resample that tells no two candidates apart counts as one in which all are tied.
    pub(super) fn expected(&self, costs: &[Costs]) -> Option<Vec<f64>> {
        let resamples = costs.iter().map(|costs| costs.resamples.len()).max().unwrap_or(0);
        if resamples == 0 {
            return self.assign(&costs.iter().map(Costs::first).collect::<Vec<_>>());
        }
        let mut sum = vec![0.0; costs.len()];
        let mut informative = false;
        for index in 0..resamples {
            let cost = |costs: &Costs| costs.resamples.get(index).copied().unwrap_or(f64::INFINITY);
            let assigned = self.assign(&costs.iter().map(cost).collect::<Vec<_>>());
            informative |= assigned.is_some();
            let weights = assigned.unwrap_or_else(|| vec![1.0 / costs.len() as f64; costs.len()]);
            sum.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
        }
        informative.then(|| sum.iter().map(|sum| sum / resamples as f64).collect())
    }

    /// The weight of each candidate, given one cost per candidate, or `None` when the costs tell no
    /// two candidates apart.
    ///
    /// Tied candidates get the mean of their ranks' weights. An infinite or NaN cost gets no
    /// weight, and its rank's weight goes to nobody: the distribution moves less, as if the
    /// candidate had been the distribution's own mean.
    pub(super) fn assign(&self, costs: &[f64]) -> Option<Vec<f64>> {
        let cost = |i: usize| {
            if costs[i].is_nan() { f64::INFINITY } else { costs[i] }
        };
        let mut order: Vec<usize> = (0..costs.len()).collect();
        order.sort_by(|&a, &b| cost(a).total_cmp(&cost(b)));
        let mut assigned = vec![0.0; costs.len()];
        let mut rank = 0;
        for tied in order.chunk_by(|&a, &b| cost(a) == cost(b)) {
            let of_ranks = &self.by_rank[rank..rank + tied.len()];
            rank += tied.len();
            if tied.len() == costs.len() {
                return None;
            }
            if cost(tied[0]) < f64::INFINITY {
                let mean = of_ranks.iter().sum::<f64>() / tied.len() as f64;
                tied.iter().for_each(|&i| assigned[i] = mean);
            }
        }
        Some(assigned)
    }
}

/// ln((λ+1)/2) − ln of the rank, counted from 1, of the candidate at place `i`.
fn raw(lambda: usize, i: usize) -> f64 {
    ((lambda as f64 + 1.0) / 2.0).ln() - (i as f64 + 1.0).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::Covariance;
    use crate::optimizer::gaussian::Rates;

    #[test]
    fn weights_of_six_by_hand() {
        // ln 3.5 - ln {1, 2, 3} = 1.252763, 0.559616, 0.154151; their sum is 1.966530.
        let weights = Weights::new(6);
        let expected = [0.637042, 0.284570, 0.078387, 0.0, 0.0, 0.0];
        for (w, e) in weights.by_rank.iter().zip(expected) {
            assert!((w - e).abs() < 1e-6, "{w} {e}");
        }
        assert!((weights.mu_eff - 2.028611).abs() < 1e-5, "{}", weights.mu_eff);
    }

    /// pycma 4.5.0 in 10 dimensions (`tests/reference/optimizers/pycma.py rates`).
    #[test]
    fn negative_weights_are_those_of_pycma() {
        let positive = Weights::new(10);
        let rates = Rates::new(10, positive.mu_eff, Covariance::Full, true);
        let mu_eff = positive.mu_eff;
        let active = positive.with_negative(|minus| {
            assert!((minus - 3.989115019106923).abs() < 1e-12, "{minus}");
            rates.most_negative(10, mu_eff, minus)
        });
        #[rustfmt::skip]
        let expected = [
            0.45627264690340597, 0.2707530970017852, 0.16223111715866978, 0.08523354710016448, 0.025509591835974777,
            -0.08001260758087224, -0.22176416099914653, -0.34455494178482093, -0.45286408637842196, -0.5497499176973853,
        ];
        for (w, e) in active.by_rank.iter().zip(expected) {
            assert!((w - e).abs() < 1e-12, "{w} {e}");
        }
    }

    #[test]
    fn ties_share_and_infeasible_get_nothing() {
        let weights = Weights::new(6);
        let w = &weights.by_rank;
        let assigned = weights.assign(&[2.0, 1.0, f64::NAN, 2.0, 3.0, f64::INFINITY]).unwrap();
        let shared = (w[1] + w[2]) / 2.0;
        assert_eq!(assigned, [shared, w[0], 0.0, shared, w[3], 0.0]);
        let mostly_infeasible = [f64::INFINITY, f64::NAN, 0.0, f64::NAN, f64::NAN, f64::NAN];
        assert_eq!(weights.assign(&mostly_infeasible).unwrap(), [0.0, 0.0, w[0], 0.0, 0.0, 0.0]);
    }

    #[test]
    fn no_difference_no_weights() {
        let weights = Weights::new(4);
        assert_eq!(weights.assign(&[1.0; 4]), None);
        assert_eq!(weights.assign(&[f64::NAN, f64::INFINITY, f64::NAN, f64::INFINITY]), None);
    }

    fn resampled(costs: &[&[f64]]) -> Vec<Costs> {
        let costs_of = |row: &&[f64]| Costs {
            values: vec![row[0]],
            resamples: row.to_vec(),
            ..Costs::default()
        };
        costs.iter().map(costs_of).collect()
    }

    #[test]
    fn equal_resamples_weigh_as_the_costs_do() {
        let weights = Weights::new(6);
        let costs = [2.0, 1.0, f64::NAN, 2.0, 3.0, f64::INFINITY];
        let expected =
            weights.expected(&resampled(&costs.map(|c| [c; 4]).each_ref().map(|r| &r[..])));
        for (got, plain) in expected.unwrap().iter().zip(weights.assign(&costs).unwrap()) {
            assert!((got - plain).abs() < 1e-15, "{got} {plain}");
        }
        let plain: Vec<Costs> = costs.map(Costs::from).to_vec();
        assert_eq!(weights.expected(&plain), weights.assign(&costs));
    }

    #[test]
    fn a_coin_flip_is_shared_and_the_sure_best_keeps_its_weight() {
        let weights = Weights::new(4);
        let w = &weights.by_rank;
        let costs = resampled(&[&[0.0, 0.0], &[1.0, 2.0], &[2.0, 1.0], &[3.0, 3.0]]);
        assert_eq!(weights.expected(&costs).unwrap(), [w[0], w[1] / 2.0, w[1] / 2.0, 0.0]);
    }

    #[test]
    fn resamples_without_a_difference() {
        let weights = Weights::new(4);
        let w = &weights.by_rank;
        assert_eq!(weights.expected(&resampled(&[&[1.0, 2.0][..]; 4])), None);
        let once = resampled(&[&[1.0, 0.0], &[1.0, 1.0], &[1.0, 2.0], &[1.0, 3.0]]);
        let expected: Vec<f64> = w.iter().map(|w| (0.25 + w) / 2.0).collect();
        assert_eq!(weights.expected(&once).unwrap(), expected);
    }
}
