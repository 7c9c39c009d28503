//! Tail of the standard normal distribution and its inverse, for the probabilities the margin
//! bounds.

use std::f64::consts::PI;

/// Q(z) = Pr(Z > z) for z ≥ 0: series of Abramowitz & Stegun 26.2.11 near the centre, continued
/// fraction 26.2.14 beyond.
pub(super) fn upper_tail(z: f64) -> f64 {
    let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
    if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..60 {
            term *= z * z / (2 * n + 1) as f64;
            sum += term;
        }
        0.5 - density * sum
    } else {
        let fraction = (1..=60).rev().fold(z, |tail, n| z + n as f64 / tail);
        density / fraction
    }
}

/// The z ≥ 0 with Q(z) = `p`, for `p` ≤ 1/2; bisection, to the last bits of z. Beyond z = 37 the
/// tail is below the least normal f64.
pub(super) fn upper_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 37.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if upper_tail(middle) > p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (z, Q(z)) from Abramowitz & Stegun, tables 26.1 and 26.2.
    const TABLE: [(f64, f64); 5] = [
        (0.0, 0.5),
        (1.0, 0.158655253931457),
        (2.0, 0.0227501319481792),
        (3.0, 0.00134989803163009),
        (5.0, 2.866515719e-7),
    ];

    #[test]
    fn tail_matches_the_tables() {
        for (z, q) in TABLE {
            assert!((upper_tail(z) / q - 1.0).abs() < 1e-9, "{z}");
        }
    }

    #[test]
    fn quantile_inverts_the_tail() {
        for (z, q) in TABLE {
            assert!((upper_quantile(q) - z).abs() < 1e-8, "{z}");
        }
    }
}
