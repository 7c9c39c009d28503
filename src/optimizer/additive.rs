//! A cost as a sum over genes: takes the noise of measurement out of what hardly interacts, such as time.

use nalgebra::{DMatrix, DVector};

use crate::genome::{Dimension, Domain, Gene, Genotype};

/// Prior precision of a gene's effect, in observations.
const RIDGE: f64 = 1.0;
/// Least share of the variance that the model must explain in candidates it has not seen.
const LEAST_EXPLAINED: f64 = 0.8;

/// One number per category of each categorical gene, a slope for each other gene, and a constant.
#[derive(Debug, Clone)]
pub(super) struct Additive {
    effects: DVector<f64>,
}

impl Additive {
    /// Fitted by ridge regression to candidates and their costs; `None` where it does not explain what it has not seen,
    /// judged by leaving out one candidate at a time (by leverage: Allen, Technometrics 16, 1974, 125).
    pub(super) fn fit(dimensions: &[Dimension], measured: &[(&Genotype, f64)]) -> Option<Self> {
        let rows: Vec<Vec<f64>> =
            measured.iter().map(|(genotype, _)| features(dimensions, genotype)).collect();
        let columns = rows.first()?.len();
        let x = DMatrix::from_fn(rows.len(), columns, |i, j| rows[i][j]);
        let y = DVector::from_iterator(measured.len(), measured.iter().map(|(_, cost)| *cost));
        let factor =
            (x.tr_mul(&x) + DMatrix::from_diagonal_element(columns, columns, RIDGE)).cholesky()?;
        let mean = y.mean();
        let centred = y.add_scalar(-mean);
        let mut effects = factor.solve(&x.tr_mul(&centred));
        let leverages = factor.l().solve_lower_triangular(&x.transpose())?;
        let residuals = &centred - &x * &effects;
        let left_out = residuals.iter().zip(leverages.column_iter());
        let unexplained: f64 = left_out.map(|(r, l)| (r / (1.0 - l.norm_squared())).powi(2)).sum();
        effects[0] += mean;
        (unexplained <= (1.0 - LEAST_EXPLAINED) * centred.norm_squared())
            .then_some(Self { effects })
    }

    pub(super) fn predict(&self, dimensions: &[Dimension], genotype: &Genotype) -> f64 {
        features(dimensions, genotype).iter().zip(self.effects.iter()).map(|(x, e)| x * e).sum()
    }
}

/// A constant 1, an indicator per category, other genes as fractions of their range about its middle.
fn features(dimensions: &[Dimension], genotype: &Genotype) -> Vec<f64> {
    let mut features = vec![1.0];
    for (dimension, gene) in dimensions.iter().zip(&genotype.0) {
        match (&dimension.domain, gene) {
            (Domain::Categorical { choices }, Gene::Category(k)) => {
                features.extend((0..choices.len()).map(|choice| f64::from(u8::from(choice == *k))));
            }
            (Domain::Continuous { low, high }, Gene::Real(x)) => {
                features.push(centred(*x, *low, *high))
            }
            (Domain::Integer { low, high }, Gene::Integer(z)) => {
                features.push(centred(*z as f64, *low as f64, *high as f64));
            }
            _ => {}
        }
    }
    features
}

/// Halved, so that the widest range does not overflow.
fn centred(x: f64, low: f64, high: f64) -> f64 {
    let range = 0.5 * high - 0.5 * low;
    if range > 0.0 { (0.5 * x - 0.5 * low) / range - 0.5 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> [Dimension; 2] {
        let choices = (0..3).map(|k| k.to_string()).collect();
        let of = |domain| Dimension { name: String::new(), domain, initial: None };
        [of(Domain::Categorical { choices }), of(Domain::Integer { low: 0, high: 9 })]
    }

    fn everything() -> Vec<Genotype> {
        let pairs = (0..3).flat_map(|k| (0..10).map(move |z| (k, z)));
        let repeated = pairs.cycle().take(30 * 40);
        repeated.map(|(k, z)| Genotype(vec![Gene::Category(k), Gene::Integer(z)])).collect()
    }

    fn cost(genotype: &Genotype, interaction: f64) -> f64 {
        let [Gene::Category(k), Gene::Integer(z)] = genotype.0[..] else { unreachable!() };
        [3.0, 1.0, 2.0][k]
            + 0.25 * z as f64
            + interaction * f64::from(u8::from((k + z as usize).is_multiple_of(2)))
    }

    #[test]
    fn a_sum_over_genes_is_found_through_noise() {
        let (space, all) = (space(), everything());
        let noise = |i: usize| 0.1 * ((i * 7919 % 13) as f64 - 6.0) / 6.0;
        let measured: Vec<_> =
            all.iter().enumerate().map(|(i, g)| (g, cost(g, 0.0) + noise(i))).collect();
        let model = Additive::fit(&space, &measured).unwrap();
        for genotype in &all[..30] {
            let error = model.predict(&space, genotype) - cost(genotype, 0.0);
            assert!(error.abs() < 0.03, "{genotype:?}: {error}");
        }
    }

    #[test]
    fn no_model_where_genes_interact_or_numbers_overflow() {
        let (space, all) = (space(), everything());
        let of = |interaction: f64| -> Vec<_> {
            all.iter().map(|g| (g, cost(g, interaction))).collect()
        };
        assert!(Additive::fit(&space, &of(0.0)).is_some());
        assert!(Additive::fit(&space, &of(20.0)).is_none());
        assert!(Additive::fit(&space, &of(f64::MAX)).is_none());
        assert!(Additive::fit(&space, &[]).is_none());
    }
}
