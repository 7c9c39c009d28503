//! The loops over elements. Slices of one call have equal length.

use crate::simd::vectorize;

use super::Mixing;

/// Elements worked on at a time: so many that the loops run in vectors, so few that a base, four experts and the sums
/// stay in the first-level cache or close to it.
pub(super) const BLOCK: usize = 512;

/// `out = w x`.
pub(super) fn scaled(out: &mut [f32], x: &[f32], w: f32) {
    vectorize(move || out.iter_mut().zip(x).for_each(|(out, x)| *out = w * x));
}

/// `sum += w x`.
pub(super) fn add_scaled(sum: &mut [f32], x: &[f32], w: f32) {
    vectorize(move || sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += w * x));
}

/// `x /= divisor`.
pub(super) fn divide(x: &mut [f32], divisor: f32) {
    vectorize(move || x.iter_mut().for_each(|x| *x /= divisor));
}

/// `delta = x - base`.
pub(super) fn subtract(delta: &mut [f32], x: &[f32], base: &[f32]) {
    vectorize(move || {
        for ((delta, x), base) in delta.iter_mut().zip(x).zip(base) {
            *delta = x - base;
        }
    });
}

/// `sum += w (x - base)`.
pub(super) fn add_weighted_delta(sum: &mut [f32], x: &[f32], base: &[f32], w: f32) {
    vectorize(move || {
        for ((sum, x), base) in sum.iter_mut().zip(x).zip(base) {
            *sum += (x - base) * w;
        }
    });
}

/// Bits of |d|, which order as |d| does; the highest is 0.
#[inline(always)]
pub(super) fn magnitude(d: f32) -> u32 {
    d.to_bits() & 0x7fff_ffff
}

/// How many elements have exactly that magnitude.
pub(super) fn count_equal(delta: &[f32], bits: u32) -> usize {
    vectorize(move || delta.iter().map(|d| u32::from(magnitude(*d) == bits)).sum::<u32>() as usize)
}

/// How many elements have at least that magnitude.
pub(super) fn count_from(delta: &[f32], least: u32) -> usize {
    vectorize(move || delta.iter().map(|d| u32::from(magnitude(*d) >= least)).sum::<u32>() as usize)
}

/// One bit for each of up to 64 elements, set where the magnitude is in `least..below`.
pub(super) fn between(delta: &[f32], least: u32, below: u32) -> u64 {
    vectorize(move || {
        let set =
            |(i, d): (usize, &f32)| u64::from(magnitude(*d) >= least && magnitude(*d) < below) << i;
        delta.iter().enumerate().map(set).fold(0, |bits, bit| bits | bit)
    })
}

/// Σ |x|, in [`LANES`] partial sums: so many, that the processor need not wait for one addition before the next, and a
/// fixed number, since it decides the order of the sum and with it the last bit.
pub(super) fn sum_of_magnitudes(x: &[f32]) -> f64 {
    vectorize(move || {
        let mut lanes = [0.0_f64; LANES];
        for x in x.chunks(LANES) {
            lanes.iter_mut().zip(x).for_each(|(lane, x)| *lane += f64::from(x.abs()));
        }
        lanes.iter().sum()
    })
}

const LANES: usize = 16;

/// Sets elements to 0 whose magnitude is not in `least..below`.
pub(super) fn keep_between(delta: &mut [f32], least: u32, below: u32) {
    vectorize(move || {
        for d in delta.iter_mut() {
            let kept = magnitude(*d) >= least && magnitude(*d) < below;
            *d = if kept { *d } else { 0.0 };
        }
    });
}

/// Sets elements to 0 whose bit is not set; bit `i % 64` of word `i / 64` is element `i`'s.
pub(super) fn keep_masked(delta: &mut [f32], mask: &[u64]) {
    vectorize(move || {
        for (delta, word) in delta.chunks_mut(32).zip(halves(mask)) {
            for (i, d) in delta.iter_mut().enumerate() {
                let all_or_none = ((word >> i) & 1).wrapping_neg();
                *d = f32::from_bits(d.to_bits() & all_or_none);
            }
        }
    });
}

fn halves(mask: &[u64]) -> impl Iterator<Item = u32> {
    mask.iter().flat_map(|word| [*word as u32, (*word >> 32) as u32])
}

/// `x *= factors`, element by element.
pub(super) fn multiply(x: &mut [f32], factors: &[f32]) {
    vectorize(move || x.iter_mut().zip(factors).for_each(|(x, factor)| *x *= factor));
}

/// `delta *= factor · weight`, rounded after each, and the result added to `elected`.
pub(super) fn weigh_and_elect(delta: &mut [f32], factor: f32, weight: f32, elected: &mut [f32]) {
    vectorize(move || {
        for (d, elected) in delta.iter_mut().zip(elected) {
            *d = *d * factor * weight;
            *elected += *d;
        }
    });
}

/// `sum += delta · factor · weight`.
pub(super) fn add_factored(sum: &mut [f32], delta: &[f32], factor: f32, weight: f32) {
    vectorize(move || {
        for (sum, d) in sum.iter_mut().zip(delta) {
            *sum += d * factor * weight;
        }
    });
}

/// Adds weighted elements and their weight where the element has the elected sign; an elected sum of 0 means +.
pub(super) fn add_agreeing(
    sum: &mut [f32],
    divisor: &mut [f32],
    elected: &[f32],
    weighted: &[f32],
    weight: f32,
) {
    vectorize(move || {
        let totals = sum.iter_mut().zip(divisor);
        for (((sum, divisor), elected), w) in totals.zip(elected).zip(weighted) {
            // Turns the sign of the weighted element round where − is elected, so that one comparison is enough.
            let turned = if *elected >= 0.0 { *w } else { -*w };
            let agrees = turned > 0.0;
            *sum += if agrees { *w } else { 0.0 };
            *divisor += if agrees { weight } else { 0.0 };
        }
    });
}

/// `out = base + λ sum`, divided by `divisor` where that is not 0 if `normalize`.
pub(super) fn put_on_base_by_element(
    out: &mut [f32],
    base: &[f32],
    sum: &[f32],
    divisor: &[f32],
    mixing: Mixing,
) {
    let Mixing { normalize, lambda } = mixing;
    vectorize(move || {
        for (((out, base), sum), divisor) in out.iter_mut().zip(base).zip(sum).zip(divisor) {
            let divides = normalize && *divisor != 0.0;
            *out = base + sum / if divides { *divisor } else { 1.0 } * lambda;
        }
    });
}

/// `out = base + λ sum / divisor`.
pub(super) fn put_on_base(out: &mut [f32], base: &[f32], sum: &[f32], divisor: f32, lambda: f32) {
    vectorize(move || {
        for ((out, base), sum) in out.iter_mut().zip(base).zip(sum) {
            *out = base + sum / divisor * lambda;
        }
    });
}
