//! Model Stock (Jang et al. 2024, arXiv:2403.19522): how far to go from the base to the experts' mean, by the angle
//! between them.

use std::ops::Range;

use super::gram::Gram;

/// Products of norms below this count as this.
const LEAST_NORM_PRODUCT: f64 = 1e-6;

/// Denominators nearer to 0 than this give no ratio.
const SINGULAR: f64 = 1e-6;

/// `t · mean(experts) + (1 - t) · base`, with `t = N cos θ / (1 + (N - 1) cos θ)` for N experts (equation 8).
///
/// `base` and `experts` are row-major slices of equal length. cos θ is the mean of the cosines of all pairs of task
/// vectors: of the whole tensors, or, with `filter_width` (length of the last axis), of each row by itself. `t` is not
/// clamped: task vectors at obtuse angles give a `t` below 0 or above 1. A denominator next to 0 keeps the base, and
/// so do fewer than two experts, which have no angle.
pub fn model_stock(base: &[f32], experts: &[&[f32]], filter_width: Option<usize>) -> Vec<f32> {
    let mut gram = Gram::zeros(experts.len());
    let width = filter_width.unwrap_or(base.len()).max(1);
    let mut merged = vec![0.0_f32; base.len()];
    for start in (0..base.len()).step_by(width) {
        let span = start..base.len().min(start + width);
        gram.measure(experts, Some(base), span.clone());
        let ratio = ratio(&gram, experts.len()) as f32;
        interpolate(&mut merged[span.clone()], base, experts, span, ratio);
    }
    merged
}

fn ratio(gram: &Gram, experts: usize) -> f64 {
    let cosine = mean_cosine(gram, experts);
    let denominator = 1.0 + (experts as f64 - 1.0) * cosine;
    if denominator.abs() < SINGULAR { 0.0 } else { experts as f64 * cosine / denominator }
}

fn mean_cosine(gram: &Gram, experts: usize) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0);
    for i in 0..experts {
        for j in i + 1..experts {
            let norms = (gram.at(i, i) * gram.at(j, j)).sqrt().max(LEAST_NORM_PRODUCT);
            sum += (gram.at(i, j) / norms).clamp(-1.0, 1.0);
            pairs += 1;
        }
    }
    sum / f64::from(pairs.max(1))
}

/// Elements merged at a time, so few that they stay in the cache.
const BLOCK: usize = 1024;

fn interpolate(
    merged: &mut [f32],
    base: &[f32],
    experts: &[&[f32]],
    span: Range<usize>,
    ratio: f32,
) {
    let (count, rest) = (experts.len().max(1) as f32, 1.0 - ratio);
    for (number, merged) in merged.chunks_mut(BLOCK).enumerate() {
        let start = span.start + number * BLOCK;
        let block = start..start + merged.len();
        for expert in experts {
            merged.iter_mut().zip(&expert[block.clone()]).for_each(|(sum, x)| *sum += x);
        }
        for (merged, b) in merged.iter_mut().zip(&base[block]) {
            *merged = ratio * (*merged / count) + rest * b;
        }
    }
}
