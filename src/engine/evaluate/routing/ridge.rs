//! Linear gates: one ridge regression per class.

use nalgebra::{Cholesky, DMatrix};

/// λ: penalty on the squared weights of standardised features, per document.
pub(super) const PENALTY: f64 = 0.1;

/// A linear function of features.
pub(super) struct Linear {
    pub weights: Vec<f64>,
    pub bias: f64,
}

/// For each class the ridge regression of "is of this class" (1 or 0) on the standardised features (Hoerl and Kennard 1970):
/// with `Z` the `n` documents' features minus their means over their standard deviations (divisor `n`; 0 for a feature that
/// is the same everywhere) and `y` the class's column minus its mean, `w = (ZᵀZ + λ n I)⁻¹ Zᵀ y`, λ = [`PENALTY`]. What comes
/// back is for features as they are. `None` without documents.
pub(super) fn ridge(rows: &[&[f64]], labels: &[usize], classes: usize) -> Option<Vec<Linear>> {
    let features = rows.first()?.len();
    let n = rows.len() as f64;
    let x = DMatrix::from_fn(rows.len(), features, |row, column| rows[row][column]);
    let means: Vec<f64> = x.column_iter().map(|column| column.sum() / n).collect();
    let inverse: Vec<f64> = x
        .column_iter()
        .zip(&means)
        .map(|(column, mean)| inverse_deviation(column.iter(), *mean))
        .collect();
    let z = DMatrix::from_fn(rows.len(), features, |row, column| {
        (x[(row, column)] - means[column]) * inverse[column]
    });
    let share = |class| labels.iter().filter(|label| **label == class).count() as f64 / n;
    let shares: Vec<f64> = (0..classes).map(share).collect();
    let y = DMatrix::from_fn(rows.len(), classes, |row, class| {
        f64::from(labels[row] == class) - shares[class]
    });
    let weights = solve(&z, &y, PENALTY * n)?;
    let of_class = |class: usize| {
        let weights: Vec<f64> =
            weights.column(class).iter().zip(&inverse).map(|(w, s)| w * s).collect();
        let shift: f64 = weights.iter().zip(&means).map(|(w, mean)| w * mean).sum();
        Linear { weights, bias: shares[class] - shift }
    };
    Some((0..classes).map(of_class).collect())
}

/// 0 where nothing but rounding deviates.
fn inverse_deviation<'a>(column: impl Iterator<Item = &'a f64>, mean: f64) -> f64 {
    let mut count = 0.0;
    let squares: f64 = column.inspect(|_| count += 1.0).map(|x| (x - mean) * (x - mean)).sum();
    let deviation = (squares / f64::max(count, 1.0)).sqrt();
    if deviation > 1e-9 * mean.abs().max(1e-9) { 1.0 / deviation } else { 0.0 }
}

/// `(ZᵀZ + λI)⁻¹ Zᵀ Y`, where there are fewer documents than features as `Zᵀ (ZZᵀ + λI)⁻¹ Y`, which is the same.
fn solve(z: &DMatrix<f64>, y: &DMatrix<f64>, lambda: f64) -> Option<DMatrix<f64>> {
    let with_penalty = |mut gram: DMatrix<f64>| {
        (0..gram.nrows()).for_each(|i| gram[(i, i)] += lambda);
        Cholesky::new(gram)
    };
    let transposed = z.transpose();
    match z.nrows() < z.ncols() {
        true => Some(&transposed * with_penalty(z * &transposed)?.solve(y)),
        false => Some(with_penalty(&transposed * z)?.solve(&(&transposed * y))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One feature 1, 3, 5, 7 with mean 4 and variance 5; the last two are of class 1. Zᵀy = (3 + 1 + 1 + 3) / (2 √5) =
    /// 4 / √5, ZᵀZ = 4, λn = 0.4: w = 4 / (4.4 √5) per deviation, 4 / 22 = 2 / 11 per unit.
    #[test]
    fn one_feature_by_hand() {
        let rows: [&[f64]; 4] = [&[1.0, 2.0], &[3.0, 2.0], &[5.0, 2.0], &[7.0, 2.0]];
        let fitted = ridge(&rows, &[0, 0, 1, 1], 2).unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(fitted[1].weights[0], 2.0 / 11.0);
        near(fitted[0].weights[0], -2.0 / 11.0);
        near(fitted[1].weights[1], 0.0);
        near(fitted[1].bias, 0.5 - 8.0 / 11.0);
    }

    #[test]
    fn fewer_documents_than_features_are_solved_alike() {
        let z = DMatrix::from_row_slice(2, 3, &[1.0, 2.0, -1.0, 0.5, -2.0, 4.0]);
        let y = DMatrix::from_row_slice(2, 1, &[0.5, -0.5]);
        let wide = solve(&z, &y, 0.3).unwrap();
        // The same regression with a third document of zeros, which changes nothing and takes the other way.
        let tall = DMatrix::from_row_slice(3, 3, &[1.0, 2.0, -1.0, 0.5, -2.0, 4.0, 0.0, 0.0, 0.0]);
        let other = solve(&tall, &DMatrix::from_row_slice(3, 1, &[0.5, -0.5, 0.0]), 0.3).unwrap();
        assert!((wide - other).abs().max() < 1e-12);
    }
}
