//! What the task-vector methods share: `base + λ · mixed`, where `mixed` is made of weighted task vectors.

/// Divisors smaller than this leave the sum as it is.
const ZERO_WEIGHT: f32 = 1e-8;

/// How the mixed task vector is put on the base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixing {
    /// Divide by the sum of the weights that took part.
    pub normalize: bool,
    /// Factor on the whole.
    pub lambda: f32,
}

/// `base + λ Σ w (x - base)`, divided by `Σ w` if `normalize` (arXiv:2212.04089).
///
/// `base` and `experts` are row-major slices of equal length, `weights` one per expert. Weights that cancel
/// (`|Σ w| < 1e-8`) are not divided by.
pub fn task_arithmetic(
    base: &[f32],
    experts: &[&[f32]],
    weights: &[f32],
    mixing: Mixing,
) -> Vec<f32> {
    let mut mixed = vec![0.0_f32; base.len()];
    for (expert, weight) in experts.iter().zip(weights) {
        for ((sum, x), b) in mixed.iter_mut().zip(*expert).zip(base) {
            *sum += (x - b) * weight;
        }
    }
    finish(base, mixed, weights, mixing)
}

/// The same over task vectors that are already sparsified.
pub(super) fn mix(base: &[f32], deltas: &[Vec<f32>], weights: &[f32], mixing: Mixing) -> Vec<f32> {
    let mut mixed = vec![0.0_f32; base.len()];
    for (delta, weight) in deltas.iter().zip(weights) {
        for (sum, d) in mixed.iter_mut().zip(delta) {
            *sum += d * weight;
        }
    }
    finish(base, mixed, weights, mixing)
}

fn finish(base: &[f32], mut mixed: Vec<f32>, weights: &[f32], mixing: Mixing) -> Vec<f32> {
    let sum: f32 = weights.iter().sum();
    let divisor = if mixing.normalize && sum.abs() >= ZERO_WEIGHT { sum } else { 1.0 };
    for (merged, b) in mixed.iter_mut().zip(base) {
        *merged = b + *merged / divisor * mixing.lambda;
    }
    mixed
}

/// Task vector `expert - base`.
pub(super) fn delta(base: &[f32], expert: &[f32]) -> Vec<f32> {
    expert.iter().zip(base).map(|(x, b)| x - b).collect()
}
