//! Keeps an integer coordinate from freezing: each neighbouring cell keeps a least probability.
//!
//! CMA-ES with margin (Hamano et al., arXiv:2205.13482): after an update, the mean m_j and the
//! scale A_jj of an integer coordinate are moved just enough; σ and C stay. α is that of CatCMA
//! with margin (arXiv:2504.07884).

use nalgebra::DVector;

use super::encoding::Coordinate;
use super::normal::{upper_quantile, upper_tail};

/// α = 1 − 0.73^(1/n) for `n` integer and categorical genes: with probability 0.73 a sample changes
/// none of them.
pub(super) fn alpha(n: usize) -> f64 {
    1.0 - 0.73_f64.powf(1.0 / n as f64)
}

/// Applies the margin to every integer coordinate of N(m, σ² A C A); `variances` is C's diagonal.
#[allow(non_snake_case)]
pub(super) fn correct(
    coordinates: &[Coordinate],
    alpha: f64,
    m: &mut DVector<f64>,
    A: &mut DVector<f64>,
    variances: &DVector<f64>,
    sigma: f64,
) {
    for (j, coordinate) in coordinates.iter().enumerate() {
        if let Coordinate::Integer { cells } = *coordinate {
            let unscaled = sigma * variances[j].sqrt();
            (m[j], A[j]) = corrected(cells, alpha, m[j], A[j], unscaled);
        }
    }
}

/// The new (m_j, A_jj) for a coordinate with standard deviation A_jj · `unscaled`.
fn corrected(cells: f64, alpha: f64, m: f64, a: f64, unscaled: f64) -> (f64, f64) {
    let cell = (m * cells).floor().clamp(0.0, cells - 1.0);
    let (low, up) = (cell / cells, (cell + 1.0) / cells);
    let reach = a * unscaled * upper_quantile(alpha);
    if cell == 0.0 {
        (m.max(up - reach), a)
    } else if cell == cells - 1.0 {
        (m.min(low + reach), a)
    } else {
        inner(low, up, alpha, m, a, unscaled)
    }
}

/// Between two thresholds: each side gets at least α/2, taken from the rest in proportion.
fn inner(low: f64, up: f64, alpha: f64, m: f64, a: f64, unscaled: f64) -> (f64, f64) {
    let least = 0.5 * alpha;
    let (p_low, p_up) =
        (upper_tail((m - low) / (a * unscaled)), upper_tail((up - m) / (a * unscaled)));
    if p_low >= least && p_up >= least {
        return (m, a);
    }
    let p_mid = 1.0 - p_low - p_up;
    let (low_raised, up_raised) = (p_low.max(least), p_up.max(least));
    let excess = low_raised + up_raised + p_mid - 1.0;
    let share = excess / (low_raised + up_raised + p_mid - 3.0 * least);
    let z_low = upper_quantile(low_raised - share * (low_raised - least));
    let z_up = upper_quantile(up_raised - share * (up_raised - least));
    let spread = z_low + z_up;
    ((low * z_up + up * z_low) / spread, (up - low) / (spread * unscaled))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tails(cells: f64, cell: f64, m: f64, sd: f64) -> (f64, f64) {
        let tail = |z: f64| {
            if z >= 0.0 { upper_tail(z) } else { 1.0 - upper_tail(-z) }
        };
        (tail((m - cell / cells) / sd), tail(((cell + 1.0) / cells - m) / sd))
    }

    #[test]
    fn inner_cell_keeps_half_alpha_on_each_side() {
        for m in [0.41, 0.5, 0.59] {
            let (m, a) = corrected(5.0, 0.1, m, 1.0, 1e-3);
            let (p_low, p_up) = tails(5.0, 2.0, m, a * 1e-3);
            assert!(p_low >= 0.05 - 1e-9 && p_up >= 0.05 - 1e-9, "{p_low} {p_up}");
        }
    }

    #[test]
    fn outer_cell_keeps_alpha() {
        let (m, a) = corrected(2.0, 0.1, -3.0, 1.0, 0.2);
        assert!((tails(2.0, 0.0, m, a * 0.2).1 - 0.1).abs() < 1e-9);
        let (m, a) = corrected(2.0, 0.1, 3.0, 1.0, 0.2);
        assert!((tails(2.0, 1.0, m, a * 0.2).0 - 0.1).abs() < 1e-9);
    }

    #[test]
    fn wide_enough_is_left_alone() {
        assert_eq!(corrected(5.0, 0.1, 0.5, 1.0, 0.3), (0.5, 1.0));
    }
}
