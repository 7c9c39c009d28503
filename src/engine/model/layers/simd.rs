//! The few loops over slices that every layer shares.

pub use crate::simd::{Kernel, dispatch};

/// Values handled side by side: one AVX-512 register, two AVX or four NEON ones.
pub const LANES: usize = 16;

/// `Σ f(x)` over a slice, in [`LANES`] partial sums.
#[inline(always)]
pub fn sum_of(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut partial = [0f32; LANES];
    for block in blocks {
        for (sum, &x) in partial.iter_mut().zip(block) {
            *sum += f(x);
        }
    }
    reduce(partial, |a, b| a + b) + rest.iter().map(|&x| f(x)).sum::<f32>()
}

/// The greatest value of a slice; a NaN may be passed over.
#[inline(always)]
pub fn max_of(values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut partial = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for (max, &x) in partial.iter_mut().zip(block) {
            *max = greater(*max, x);
        }
    }
    rest.iter().fold(reduce(partial, greater), |max, &x| greater(max, x))
}

/// Folds halves onto each other: four dependent steps where a plain fold has sixteen.
#[inline(always)]
pub fn reduce(mut partial: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            partial[i] = f(partial[i], partial[i + half]);
        }
        half /= 2;
    }
    partial[0]
}

/// The greater of two, as one vector instruction; `f32::max` needs several for its treatment of NaN.
#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// `e^x` within 2 units in the last place on `[-87, 88]`, clamped outside, NaN for NaN.
///
/// Cody-Waite reduction to `|r| ≤ ln 2 / 2` and the polynomial of Cephes' `expf` (S. Moshier), without a branch.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it leaves the nearest integer in the low bits
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5e-1;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    (p * r * r + r + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_of_the_double_precision_one() {
        for step in -87_000..=88_000 {
            let x = step as f32 / 1e3;
            let truth = f64::from(x).exp();
            let relative = (f64::from(exp(x)) - truth).abs() / truth;
            assert!(relative < 2.4e-7, "exp({x}) is off by {relative:e}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn sums_and_maxima_include_the_rest_after_the_last_full_block() {
        let values: Vec<f32> = (1..=37).map(|i| i as f32).collect();
        assert_eq!(sum_of(&values, |x| x), 703.0);
        assert_eq!(max_of(&values), 37.0);
        assert_eq!(max_of(&values[..3]), 3.0);
    }
}
