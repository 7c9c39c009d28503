//! TIES: trim, elect sign, disjoint merge (Yadav et al. 2023, arXiv:2306.01708, algorithm 1).

use super::dare::rescale_l1;
use super::sums::l1;
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
    let (threshold, surplus) = kth_largest(delta, kept);
    for d in delta.iter_mut() {
        *d = if magnitude(*d) >= threshold { *d } else { 0.0 };
    }
    let equal = delta.iter_mut().rev().filter(|d| magnitude(**d) == threshold);
    equal.take(surplus).for_each(|d| *d = 0.0);
}

/// Bits of |d|, which order as |d| does; the highest is 0.
fn magnitude(d: f32) -> u32 {
    d.abs().to_bits()
}

/// The `k`-th largest magnitude, `1 <= k <= delta.len()`, and how many more of that very magnitude there are
/// than belong to the `k`.
///
/// Counts the magnitudes by their leading bits, then those of the bin that holds the `k`-th by their next bits: three
/// passes without a copy, where sorting or selecting would take a copy and several times as long.
fn kth_largest(delta: &[f32], k: usize) -> (u32, usize) {
    let (mut leading, mut left, mut surplus) = (0_u32, k, 0);
    for (shift, bits) in [(20, 11), (10, 10), (0, 10)] {
        let bins = 1_usize << bits;
        let mut counts = vec![0_usize; bins];
        for magnitude in delta.iter().map(|d| magnitude(*d)) {
            if magnitude >> shift >> bits == leading {
                counts[(magnitude >> shift) as usize & (bins - 1)] += 1;
            }
        }
        let mut bin = bins - 1;
        while left > counts[bin] && bin > 0 {
            left -= counts[bin];
            bin -= 1;
        }
        surplus = counts[bin] - left;
        leading = leading << bits | bin as u32;
    }
    (leading, surplus)
}

/// Elements merged at a time; so many that the work is done in vectors, so few that they stay in the cache.
const CHUNK: usize = 1024;

/// Sign election on the weighted task vectors, then the sum of those that agree.
///
/// A sum of exactly 0 elects +. The divisor is the sum of the agreeing *weights*, 1 where that is 0.
pub(super) fn disjoint_merge(
    base: &[f32],
    deltas: &[Vec<f32>],
    weights: &[f32],
    mixing: Mixing,
) -> Vec<f32> {
    let mut merged = base.to_vec();
    for (number, merged) in merged.chunks_mut(CHUNK).enumerate() {
        let span = number * CHUNK..number * CHUNK + merged.len();
        let deltas = deltas.iter().map(|delta| &delta[span.clone()]);
        add_consensus(merged, deltas.zip(weights.iter().copied()), mixing);
    }
    merged
}

fn add_consensus<'d>(
    merged: &mut [f32],
    deltas: impl Iterator<Item = (&'d [f32], f32)> + Clone,
    mixing: Mixing,
) {
    let (mut elected, mut sums, mut divisors) = ([0.0; CHUNK], [0.0; CHUNK], [0.0; CHUNK]);
    for (delta, weight) in deltas.clone() {
        elected.iter_mut().zip(delta).for_each(|(sum, d)| *sum += d * weight);
    }
    for (delta, weight) in deltas {
        let totals = sums.iter_mut().zip(&mut divisors);
        for (((sum, divisor), elected), d) in totals.zip(&elected).zip(delta) {
            let weighted = d * weight;
            let agrees = if *elected >= 0.0 { weighted > 0.0 } else { weighted < 0.0 };
            *sum += if agrees { weighted } else { 0.0 };
            *divisor += if agrees { weight } else { 0.0 };
        }
    }
    for ((merged, sum), divisor) in merged.iter_mut().zip(sums).zip(divisors) {
        let divides = mixing.normalize && divisor != 0.0;
        *merged += sum / if divides { divisor } else { 1.0 } * mixing.lambda;
    }
}
