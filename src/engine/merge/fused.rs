//! The whole way from stored elements to merged ones in registers, for tensors that are all stored alike as bfloat16 or
//! f32: what searches mostly merge. All inputs are read side by side, in steps so small that the processor's prefetching
//! follows each. Merged elements are those of the general way (`ready.rs`), bit for
//! bit; norms may differ in their last digit.

use crate::checkpoint::{Elements, Stored};
use crate::simd::{Kernel, dispatch};

use super::Mixing;
use super::kernels::magnitude;

/// Elements worked on at a time: four AVX-512 registers.
pub(super) const STEP: usize = 64;

/// Experts whose weighted elements are kept between the election and the sum.
const MOST: usize = 16;

/// A stored type.
trait Format: Copy {
    /// Elements `STEP · step ..` of a tensor.
    fn load(self, step: usize) -> [f32; STEP];
}

#[derive(Clone, Copy)]
struct Bfloat16<'a>(&'a [[u8; 2 * STEP]]);

#[derive(Clone, Copy)]
struct Single<'a>(&'a [[f32; STEP]]);

impl Format for Bfloat16<'_> {
    #[inline(always)]
    fn load(self, step: usize) -> [f32; STEP] {
        let bytes = &self.0[step];
        let mut x = [0.0; STEP];
        for (x, pair) in x.iter_mut().zip(bytes.as_chunks().0) {
            *x = f32::from_bits(u32::from(u16::from_le_bytes(*pair)) << 16);
        }
        x
    }
}

impl Format for Single<'_> {
    #[inline(always)]
    fn load(self, step: usize) -> [f32; STEP] {
        self.0[step]
    }
}

/// Inputs of one format, from an element on.
enum Inputs<'a> {
    Bfloat16(Vec<Bfloat16<'a>>),
    Single(Vec<Single<'a>>),
}

fn inputs<'a>(all: impl Iterator<Item = &'a Elements<'a>>, start: usize) -> Option<Inputs<'a>> {
    let (mut halves, mut singles) = (Vec::new(), Vec::new());
    for elements in all {
        match elements.stored_as()? {
            Stored::Bfloat16(bytes) => halves.push(Bfloat16(bytes.get(2 * start..)?.as_chunks().0)),
            Stored::Single(values) => singles.push(Single(values.get(start..)?.as_chunks().0)),
        }
    }
    match (halves.is_empty(), singles.is_empty()) {
        (false, true) => Some(Inputs::Bfloat16(halves)),
        (true, false) => Some(Inputs::Single(singles)),
        _ => None,
    }
}

/// `Σ w x`, divided by `divisor` where there is one, for as many whole steps as `out` has; how many elements that were.
pub(super) fn weighted(
    elements: &[(Elements, f32)],
    divisor: Option<f32>,
    start: usize,
    out: &mut [f32],
) -> usize {
    let weights: Vec<f32> = elements.iter().map(|(_, weight)| *weight).collect();
    let out = out.as_chunks_mut().0;
    let done = out.len() * STEP;
    match inputs(elements.iter().map(|(elements, _)| elements), start) {
        Some(Inputs::Bfloat16(inputs)) => {
            dispatch(Weighted { inputs: &inputs, weights: &weights, divisor, out });
        }
        Some(Inputs::Single(inputs)) => {
            dispatch(Weighted { inputs: &inputs, weights: &weights, divisor, out });
        }
        None => return 0,
    }
    done
}

struct Weighted<'a, F> {
    inputs: &'a [F],
    weights: &'a [f32],
    divisor: Option<f32>,
    out: &'a mut [[f32; STEP]],
}

impl<F: Format> Kernel for Weighted<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Some(((first, others), (weight, weights))) =
            self.inputs.split_first().zip(self.weights.split_first())
        else {
            return;
        };
        for (step, out) in self.out.iter_mut().enumerate() {
            let mut sum = first.load(step);
            sum.iter_mut().for_each(|x| *x *= weight);
            for (input, weight) in others.iter().zip(weights) {
                let x = input.load(step);
                sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x);
            }
            if let Some(divisor) = self.divisor {
                sum.iter_mut().for_each(|x| *x /= divisor);
            }
            *out = sum;
        }
    }
}

/// One expert's part in [`task_vectors`].
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) elements: &'a Elements<'a>,
    pub(super) weight: f32,
    pub(super) factor: f32,
    pub(super) kept: KeptPart<'a>,
}

/// Which elements of an expert take part.
#[derive(Clone, Copy)]
pub(super) enum KeptPart<'a> {
    /// All.
    All,
    /// Those of a magnitude from the first to below the second.
    Between(u32, u32),
    /// Those whose bit is set.
    Mask(&'a [u64]),
}

/// What all experts share.
#[derive(Clone, Copy)]
pub(super) struct Blend {
    pub(super) elect_sign: bool,
    pub(super) mixing: Mixing,
    /// Of the sum without election.
    pub(super) divisor: f32,
}

/// The family of task arithmetic, for as many whole steps as `out` has; how many elements that were. `start` is a
/// multiple of [`STEP`].
pub(super) fn task_vectors(
    base: &Elements,
    parts: &[Part],
    blend: Blend,
    start: usize,
    out: &mut [f32],
) -> usize {
    let out = out.as_chunks_mut().0;
    let done = out.len() * STEP;
    if parts.len() > MOST {
        return 0;
    }
    let all = std::iter::once(base).chain(parts.iter().map(|part| part.elements));
    let Some(inputs) = inputs(all, start) else { return 0 };
    // Instances of their own, so that neither holds what the other needs.
    match (inputs, blend.elect_sign) {
        (Inputs::Bfloat16(inputs), true) => {
            dispatch(Elected { inputs: &inputs, parts, mixing: blend.mixing, start, out });
        }
        (Inputs::Single(inputs), true) => {
            dispatch(Elected { inputs: &inputs, parts, mixing: blend.mixing, start, out });
        }
        (Inputs::Bfloat16(inputs), false) => {
            dispatch(Summed { inputs: &inputs, parts, blend, start, out });
        }
        (Inputs::Single(inputs), false) => {
            dispatch(Summed { inputs: &inputs, parts, blend, start, out });
        }
    }
    done
}

/// Without election.
struct Summed<'a, 'e, F> {
    /// The base, then the experts.
    inputs: &'a [F],
    parts: &'a [Part<'e>],
    blend: Blend,
    start: usize,
    out: &'a mut [[f32; STEP]],
}

impl<F: Format> Kernel for Summed<'_, '_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Some((base, experts)) = self.inputs.split_first() else { return };
        let (divisor, lambda) = (self.blend.divisor, self.blend.mixing.lambda);
        for (step, out) in self.out.iter_mut().enumerate() {
            let base = base.load(step);
            let index = self.start + step * STEP;
            let mut sum = [0.0; STEP];
            for (expert, part) in experts.iter().zip(self.parts) {
                let delta = part.kept.keep(index, difference(&expert.load(step), &base));
                let (factor, weight) = (part.factor, part.weight);
                for i in 0..STEP {
                    sum[i] += delta[i] * factor * weight;
                }
            }
            for i in 0..STEP {
                out[i] = base[i] + sum[i] / divisor * lambda;
            }
        }
    }
}

#[inline(always)]
fn difference(x: &[f32; STEP], base: &[f32; STEP]) -> [f32; STEP] {
    let mut delta = *x;
    delta.iter_mut().zip(base).for_each(|(x, base)| *x -= base);
    delta
}

/// With election.
struct Elected<'a, 'e, F> {
    /// The base, then the experts.
    inputs: &'a [F],
    parts: &'a [Part<'e>],
    mixing: Mixing,
    start: usize,
    out: &'a mut [[f32; STEP]],
}

impl<F: Format> Kernel for Elected<'_, '_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Some((base, experts)) = self.inputs.split_first() else { return };
        let mut weighted = [[0.0; STEP]; MOST];
        for (step, out) in self.out.iter_mut().enumerate() {
            let base = base.load(step);
            let index = self.start + step * STEP;
            let mut sum = [0.0; STEP];
            for ((expert, part), weighted) in experts.iter().zip(self.parts).zip(&mut weighted) {
                let delta = part.kept.keep(index, difference(&expert.load(step), &base));
                let (factor, weight) = (part.factor, part.weight);
                for i in 0..STEP {
                    weighted[i] = delta[i] * factor * weight;
                    sum[i] += weighted[i];
                }
            }
            *out = elected(&base, &sum, &weighted, self.parts, self.mixing);
        }
    }
}

/// The sum of those that have the sign of `elected`, 0 meaning +.
#[inline(always)]
fn elected(
    base: &[f32; STEP],
    elected: &[f32; STEP],
    weighted: &[[f32; STEP]; MOST],
    parts: &[Part],
    mixing: Mixing,
) -> [f32; STEP] {
    let (mut sum, mut divisor) = ([0.0; STEP], [0.0; STEP]);
    for (part, weighted) in parts.iter().zip(weighted) {
        let weight = part.weight;
        for i in 0..STEP {
            let turned = if elected[i] >= 0.0 { weighted[i] } else { -weighted[i] };
            sum[i] += if turned > 0.0 { weighted[i] } else { 0.0 };
            divisor[i] += if turned > 0.0 { weight } else { 0.0 };
        }
    }
    let mut out = *base;
    for i in 0..STEP {
        let divides = mixing.normalize && divisor[i] != 0.0;
        out[i] += sum[i] / if divides { divisor[i] } else { 1.0 } * mixing.lambda;
    }
    out
}

impl KeptPart<'_> {
    /// With the other elements at 0; `index` is that of the first.
    #[inline(always)]
    fn keep(self, index: usize, mut delta: [f32; STEP]) -> [f32; STEP] {
        match self {
            KeptPart::All => {}
            KeptPart::Between(least, below) => {
                for d in &mut delta {
                    let kept = magnitude(*d) >= least && magnitude(*d) < below;
                    *d = if kept { *d } else { 0.0 };
                }
            }
            KeptPart::Mask(bits) => {
                let word = bits[index / STEP];
                for (i, d) in delta.iter_mut().enumerate() {
                    let half = if i < STEP / 2 { word as u32 } else { (word >> 32) as u32 };
                    let all_or_none = ((half >> (i % 32)) & 1).wrapping_neg();
                    *d = f32::from_bits(d.to_bits() & all_or_none);
                }
            }
        }
        delta
    }
}

/// L1 norms of a task vector before and after, over the whole steps of `count` elements from `start` on; `None` where base
/// and expert are not stored alike.
pub(super) fn norms(
    base: &Elements,
    expert: &Elements,
    kept: KeptPart,
    start: usize,
    count: usize,
) -> Option<(f64, f64)> {
    let steps = count / STEP;
    match inputs([base, expert].into_iter(), start)? {
        Inputs::Bfloat16(inputs) => {
            let (base, expert) = (*inputs.first()?, *inputs.get(1)?);
            Some(dispatch(Norms { base, expert, kept, start, steps }))
        }
        Inputs::Single(inputs) => {
            let (base, expert) = (*inputs.first()?, *inputs.get(1)?);
            Some(dispatch(Norms { base, expert, kept, start, steps }))
        }
    }
}

struct Norms<'a, F> {
    base: F,
    expert: F,
    kept: KeptPart<'a>,
    start: usize,
    steps: usize,
}

/// Numbers added up in `f32` before they enter a sum in `f64`: so few that no digit that matters is lost.
const SHORT: usize = 16;

impl<F: Format> Kernel for Norms<'_, F> {
    type Output = (f64, f64);
    #[inline(always)]
    fn run(self) -> (f64, f64) {
        let (mut before, mut after) = (0.0, 0.0);
        for first in (0..self.steps).step_by(SHORT) {
            let (mut all, mut rest) = ([0.0_f32; STEP], [0.0_f32; STEP]);
            for step in first..self.steps.min(first + SHORT) {
                let delta = difference(&self.expert.load(step), &self.base.load(step));
                let kept = self.kept.keep(self.start + step * STEP, delta);
                for i in 0..STEP {
                    all[i] += delta[i].abs();
                    rest[i] += kept[i].abs();
                }
            }
            before += all.iter().map(|x| f64::from(*x)).sum::<f64>();
            after += rest.iter().map(|x| f64::from(*x)).sum::<f64>();
        }
        (before, after)
    }
}

/// How many elements have exactly that magnitude, in the whole steps of `count` elements from `start` on; `None` where
/// the two are not stored alike.
pub(super) fn count_equal(
    base: &Elements,
    expert: &Elements,
    start: usize,
    count: usize,
    bits: u32,
) -> Option<usize> {
    let steps = count / STEP;
    match inputs([base, expert].into_iter(), start)? {
        Inputs::Bfloat16(inputs) => {
            Some(dispatch(Equal { base: *inputs.first()?, expert: *inputs.get(1)?, steps, bits }))
        }
        Inputs::Single(inputs) => {
            Some(dispatch(Equal { base: *inputs.first()?, expert: *inputs.get(1)?, steps, bits }))
        }
    }
}

struct Equal<F> {
    base: F,
    expert: F,
    steps: usize,
    bits: u32,
}

impl<F: Format> Kernel for Equal<F> {
    type Output = usize;
    #[inline(always)]
    fn run(self) -> usize {
        let mut found = [0_u32; STEP];
        for step in 0..self.steps {
            let (x, base) = (self.expert.load(step), self.base.load(step));
            for i in 0..STEP {
                found[i] += u32::from(magnitude(x[i] - base[i]) == self.bits);
            }
        }
        found.iter().map(|found| *found as usize).sum()
    }
}
