//! Softmax of one row of scores, of which a range is seen.

use std::ops::Range;

use super::super::simd::{LANES, exp, max_of, reduce};

/// What is added to the scores of one query head.
#[derive(Clone, Copy)]
pub enum Bias<'a> {
    None,
    /// Times the key's position.
    Slope(f32),
    /// By the key's position, at least as far as the query sees.
    Row(&'a [f32]),
}

/// How to read one row of scores.
pub struct Row<'a> {
    /// Key position of the first score, a multiple of [`LANES`].
    pub from: usize,
    /// Scores that count; not empty.
    pub seen: Range<usize>,
    pub softcap: Option<f32>,
    pub bias: Bias<'a>,
}

impl Row<'_> {
    /// Replaces the scores, a multiple of [`LANES`] of them, by `exp(score - max)`, zero where not `seen`, and returns the
    /// sum.
    ///
    /// The sum has one part per position modulo [`LANES`], so it does not depend on `from` and the length of `scores`. All
    /// rows of a block take the same steps: short loops of changing length would cost more than what they leave out.
    #[inline(always)]
    pub fn numerators(&self, scores: &mut [f32]) -> f32 {
        self.adjust(self.from, scores);
        let (start, end) = (self.seen.start as u32, self.seen.end as u32);
        for (column, score) in (0..).zip(scores.iter_mut()) {
            *score = if column >= start && column < end { *score } else { f32::NEG_INFINITY };
        }
        exponentials(scores)
    }

    /// `first`: key position of the first score.
    #[inline(always)]
    fn adjust(&self, first: usize, scores: &mut [f32]) {
        if let Some(cap) = self.softcap {
            for score in scores.iter_mut() {
                *score = cap * tanh(*score / cap);
            }
        }
        match self.bias {
            Bias::None => {}
            Bias::Slope(slope) => {
                for (position, score) in (first as u32..).zip(scores) {
                    *score += slope * position as f32;
                }
            }
            Bias::Row(row) => {
                for (bias, score) in row[first..].iter().zip(scores) {
                    *score += bias;
                }
            }
        }
    }
}

/// Replaces scores by `exp(score - max)`, which is exactly zero for minus infinity, and returns their sum.
#[inline(always)]
fn exponentials(scores: &mut [f32]) -> f32 {
    let max = max_of(scores);
    let mut sums = [0f32; LANES];
    for block in scores.as_chunks_mut::<LANES>().0 {
        for (sum, score) in sums.iter_mut().zip(block) {
            let numerator = exp(*score - max);
            *score = if *score == f32::NEG_INFINITY { 0.0 } else { numerator };
            *sum += *score;
        }
    }
    reduce(sums, |a, b| a + b)
}

/// Hyperbolic tangent within 2 units in the last place: the polynomial of Cephes' `tanhf` (S. Moshier) below 0.625, and
/// `1 - 2 / (e^2x + 1)` above, without a branch.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let size = x.abs();
    let z = x * x;
    let p = -5.704_988_7e-3;
    let p = p * z + 2.063_908_8e-2;
    let p = p * z - 5.373_971_5e-2;
    let p = p * z + 1.333_144_2e-1;
    let p = p * z - 3.333_328e-1;
    let near = x + x * z * p;
    let far = (1.0 - 2.0 / (exp(2.0 * size) + 1.0)).copysign(x);
    if size < 0.625 { near } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_is_within_two_units_of_the_double_precision_one() {
        for step in -12_000..=12_000 {
            let x = step as f32 / 1e3;
            let truth = f64::from(x).tanh();
            let off = (f64::from(tanh(x)) - truth).abs();
            assert!(off <= 2.4e-7 * truth.abs(), "tanh({x}) is off by {off:e}");
        }
        assert!(tanh(f32::NAN).is_nan());
        assert_eq!(tanh(-1e30), -1.0);
    }
}
