//! TIES: trim, elect sign, disjoint merge (Yadav et al. 2023, arXiv:2306.01708, algorithm 1).

use super::dare::rescale_l1;
use super::task_arithmetic::{Mixing, delta};

/// The task vectors are trimmed to their largest elements; each element takes the sign of their weighted sum, and
/// the mean (`normalize`) or sum of the weighted task vectors of that sign is put on the base.
///
/// `base` and `experts` are row-major slices of equal length; `weights` and `densities` (share of elements kept)
/// one per expert. `rescale` gives a trimmed task vector the L1 norm it had before.
pub fn ties(
    base: &[f32],
    experts: &[&[f32]],
    weights: &[f32],
    densities: &[f64],
    rescale: bool,
    mixing: Mixing,
) -> Vec<f32> {
    let trimmed = |(expert, density): (&&[f32], &f64)| {
        let mut delta = delta(base, expert);
        let before = rescale.then(|| l1(&delta));
        trim(&mut delta, *density);
        if let Some(before) = before {
            rescale_l1(&mut delta, before);
        }
        delta
    };
    let deltas: Vec<Vec<f32>> = experts.iter().zip(densities).map(trimmed).collect();
    disjoint_merge(base, &deltas, weights, mixing)
}

/// Sum of absolute values.
pub(super) fn l1(delta: &[f32]) -> f64 {
    delta.iter().map(|d| f64::from(d.abs())).sum()
}

/// Sets all but the `⌊density · n⌋` elements of largest magnitude to 0; of equal ones the first are kept.
///
/// A density above 0 keeps at least one element, as mergekit does since 0.1.5; a density of 1 or more keeps all.
pub fn trim(delta: &mut [f32], density: f64) {
    if density >= 1.0 || delta.is_empty() {
        return;
    }
    if density <= 0.0 {
        delta.fill(0.0);
        return;
    }
    let kept = ((density * delta.len() as f64) as usize).max(1);
    let threshold = kth_largest(delta, kept);
    let above = delta.iter().filter(|d| magnitude(**d) > threshold).count();
    let mut equal_left = kept - above;
    for d in delta {
        match magnitude(*d).cmp(&threshold) {
            std::cmp::Ordering::Greater => {}
            std::cmp::Ordering::Equal if equal_left > 0 => equal_left -= 1,
            _ => *d = 0.0,
        }
    }
}

/// Bits of |d|, which order as |d| does.
fn magnitude(d: f32) -> u32 {
    d.abs().to_bits()
}

/// `1 <= k <= delta.len()`.
fn kth_largest(delta: &[f32], k: usize) -> u32 {
    let mut magnitudes: Vec<u32> = delta.iter().map(|d| magnitude(*d)).collect();
    let index = magnitudes.len() - k;
    *magnitudes.select_nth_unstable(index).1
}

/// Sign election on the weighted task vectors, then the sum of those that agree.
///
/// A sum of exactly 0 elects +. The divisor is the sum of the agreeing *weights*, 1 where that is 0.
pub(super) fn disjoint_merge(
    base: &[f32],
    deltas: &[Vec<f32>],
    weights: &[f32],
    mixing: Mixing,
) -> Vec<f32> {
    let element = |(i, b): (usize, &f32)| {
        let elected = deltas
            .iter()
            .zip(weights)
            .map(|(delta, w)| delta[i] * w)
            .sum::<f32>()
            >= 0.0;
        let (mut sum, mut divisor) = (0.0_f32, 0.0_f32);
        for (delta, w) in deltas.iter().zip(weights) {
            let weighted = delta[i] * w;
            if (elected && weighted > 0.0) || (!elected && weighted < 0.0) {
                sum += weighted;
                divisor += w;
            }
        }
        let divisor = if mixing.normalize && divisor != 0.0 {
            divisor
        } else {
            1.0
        };
        b + sum / divisor * mixing.lambda
    };
    base.iter().enumerate().map(element).collect()
}
