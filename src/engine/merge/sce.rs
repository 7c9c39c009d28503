//! SCE: select, calculate, erase (Wan et al. 2024, arXiv:2408.07990).

use super::sums::dot;

/// Elements merged at a time, so few that they stay in the cache.
const BLOCK: usize = 1024;

/// Energies whose sum is below this make all weights equal; the least divisor too.
const LEAST_WEIGHT: f32 = 1e-6;

/// Puts on the base the mean of the task vectors, weighted by their mean squares, over those that have the sign of
/// their sum; before that, only the elements that vary most between the experts are kept (`select_topk < 1`).
///
/// `base` and `experts` are row-major slices of equal length. `select_topk` is the share kept of the elements that
/// vary at all; of equal variances the first are kept. A sum of exactly 0 elects +. As in mergekit, mean squares that
/// sum to less than 1e-6 count as nothing and make all weights equal: such are the updates of most fine-tuned models
/// (a root mean square of 1e-3 or less), for which the method then is a plain mean over the elected signs.
pub fn sce(base: &[f32], experts: &[&[f32]], select_topk: f64) -> Vec<f32> {
    let kept = (select_topk < 1.0).then(|| most_varied(base, experts, select_topk));
    let mut deltas = Deltas { base, experts, kept: kept.as_deref(), block: [0.0; BLOCK] };
    let weights = deltas.weights();
    let mut merged = base.to_vec();
    for (number, merged) in merged.chunks_mut(BLOCK).enumerate() {
        deltas.add_consensus(merged, number * BLOCK, &weights);
    }
    merged
}

/// Task vectors, of which one block of one expert is made at a time.
struct Deltas<'a> {
    base: &'a [f32],
    experts: &'a [&'a [f32]],
    /// 1 or 0 for each element.
    kept: Option<&'a [f32]>,
    block: [f32; BLOCK],
}

impl Deltas<'_> {
    fn load(&mut self, expert: &[f32], start: usize, length: usize) -> &[f32] {
        let span = start..start + length;
        let block = &mut self.block[..length];
        let elements = expert[span.clone()].iter().zip(&self.base[span.clone()]);
        block.iter_mut().zip(elements).for_each(|(delta, (x, b))| *delta = x - b);
        if let Some(kept) = self.kept {
            block.iter_mut().zip(&kept[span]).for_each(|(delta, kept)| *delta *= kept);
        }
        block
    }

    /// Mean squares of the task vectors, as shares of their sum.
    fn weights(&mut self) -> Vec<f32> {
        let length = self.base.len();
        let energies: Vec<f32> = self
            .experts
            .iter()
            .map(|expert| (self.energy(expert) / length.max(1) as f64) as f32)
            .collect();
        let sum: f32 = energies.iter().sum();
        if sum < LEAST_WEIGHT {
            return vec![1.0 / energies.len() as f32; energies.len()];
        }
        energies.iter().map(|energy| energy / sum).collect()
    }

    fn energy(&mut self, expert: &[f32]) -> f64 {
        let length = expert.len();
        let square = |start| {
            let delta = self.load(expert, start, BLOCK.min(length - start));
            dot(delta, delta)
        };
        (0..length).step_by(BLOCK).map(square).sum()
    }

    fn add_consensus(&mut self, merged: &mut [f32], start: usize, weights: &[f32]) {
        let (mut elected, mut sums, mut divisors) = ([0.0_f32; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
        for expert in self.experts {
            let delta = self.load(expert, start, merged.len());
            elected.iter_mut().zip(delta).for_each(|(sum, d)| *sum += d);
        }
        for (expert, weight) in self.experts.iter().zip(weights) {
            let delta = self.load(expert, start, merged.len());
            let totals = sums.iter_mut().zip(&mut divisors);
            for (((sum, divisor), elected), d) in totals.zip(&elected).zip(delta) {
                let sign = if *elected >= 0.0 { 1.0 } else { -1.0 };
                let weight = weight * f32::from(u8::from(d * sign > 0.0));
                *sum += d * weight;
                *divisor += weight;
            }
        }
        for ((merged, sum), divisor) in merged.iter_mut().zip(sums).zip(divisors) {
            *merged += sum / f32::max(divisor, LEAST_WEIGHT);
        }
    }
}

/// 1 for the elements of largest variance between the experts, 0 for the others.
fn most_varied(base: &[f32], experts: &[&[f32]], share: f64) -> Vec<f32> {
    let mut elements = variances(base, experts);
    let varied = elements.iter().filter(|variance| **variance != 0.0).count();
    // In f32, as mergekit has it: on large tensors the number depends on that.
    let count = (varied as f32 * share.max(0.0) as f32) as usize;
    keep_largest(&mut elements, count.min(varied));
    elements
}

/// Turns elements, `count` of them or more above 0 and none below, into 1 for the `count` largest, the first of equal
/// ones, and 0 for the others.
fn keep_largest(elements: &mut [f32], count: usize) {
    if count == 0 {
        elements.fill(0.0);
        return;
    }
    // Non-negative numbers order as their bits do.
    let mut bits: Vec<u32> = elements.iter().map(|element| element.to_bits()).collect();
    let place = bits.len() - count;
    let least = *bits.select_nth_unstable(place).1;
    let surplus = bits.iter().filter(|bits| **bits >= least).count() - count;
    let equal = elements.iter_mut().rev().filter(|element| element.to_bits() == least);
    equal.take(surplus).for_each(|element| *element = 0.0);
    elements.iter_mut().for_each(|element| {
        *element = f32::from(u8::from(element.to_bits() >= least));
    });
}

/// Population variance of each element over the task vectors.
fn variances(base: &[f32], experts: &[&[f32]]) -> Vec<f32> {
    let count = experts.len() as f64;
    let mut variances = vec![0.0_f32; base.len()];
    for (number, variances) in variances.chunks_mut(BLOCK).enumerate() {
        let span = number * BLOCK..number * BLOCK + variances.len();
        let base = &base[span.clone()];
        let (mut means, mut squares) = ([0.0_f64; BLOCK], [0.0_f64; BLOCK]);
        for expert in experts {
            let elements = means.iter_mut().zip(&expert[span.clone()]).zip(base);
            elements.for_each(|((sum, x), b)| *sum += f64::from(x - b));
        }
        means.iter_mut().for_each(|sum| *sum /= count);
        for expert in experts {
            let elements = squares.iter_mut().zip(&means).zip(&expert[span.clone()]).zip(base);
            elements.for_each(|(((sum, mean), x), b)| *sum += (f64::from(x - b) - mean).powi(2));
        }
        let elements = variances.iter_mut().zip(squares);
        elements.for_each(|(variance, sum)| *variance = (sum / count) as f32);
    }
    variances
}
