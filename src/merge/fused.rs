//! The whole way from stored elements to merged ones in registers, for tensors that are all stored alike as bfloat16 or
//! f32: what searches mostly merge. All inputs are read side by side, in steps so small that the processor's prefetching
//! follows each. The results are those of the general way (`ready.rs`), bit for bit.

use crate::checkpoint::{Elements, Stored};
use crate::simd::{Kernel, dispatch};

use super::Mixing;
use super::cut::Band;
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
    /// Those of a magnitude in the band; all of them where it is as wide as can be.
    Band(Band),
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
    match inputs(all, start) {
        Some(Inputs::Bfloat16(inputs)) => {
            dispatch(TaskVectors { inputs: &inputs, parts, blend, start, out });
        }
        Some(Inputs::Single(inputs)) => {
            dispatch(TaskVectors { inputs: &inputs, parts, blend, start, out });
        }
        None => return 0,
    }
    done
}

struct TaskVectors<'a, 'e, F> {
    /// The base, then the experts.
    inputs: &'a [F],
    parts: &'a [Part<'e>],
    blend: Blend,
    start: usize,
    out: &'a mut [[f32; STEP]],
}

impl<F: Format> Kernel for TaskVectors<'_, '_, F> {
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
                let mut delta = expert.load(step);
                delta.iter_mut().zip(base).for_each(|(x, base)| *x -= base);
                part.kept.keep(index, &mut delta);
                let (factor, weight) = (part.factor, part.weight);
                delta.iter_mut().for_each(|d| *d = *d * factor * weight);
                sum.iter_mut().zip(delta).for_each(|(sum, d)| *sum += d);
                *weighted = delta;
            }
            *out = match self.blend.elect_sign {
                true => elected(&base, &sum, &weighted, self.parts, self.blend.mixing),
                false => summed(&base, &sum, self.blend),
            };
        }
    }
}

#[inline(always)]
fn summed(base: &[f32; STEP], sum: &[f32; STEP], blend: Blend) -> [f32; STEP] {
    let mut out = *base;
    for (out, sum) in out.iter_mut().zip(sum) {
        *out += sum / blend.divisor * blend.mixing.lambda;
    }
    out
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
    /// Sets the other elements to 0; `index` is that of the first.
    #[inline(always)]
    fn keep(self, index: usize, delta: &mut [f32; STEP]) {
        match self {
            KeptPart::Band(band) => match band.bounds(index, STEP) {
                Some((least, below)) => {
                    for d in delta.iter_mut() {
                        let kept = magnitude(*d) >= least && magnitude(*d) < below;
                        *d = if kept { *d } else { 0.0 };
                    }
                }
                None => band.keep(index, delta),
            },
            KeptPart::Mask(bits) => {
                let word = bits.get(index / STEP).copied().unwrap_or_default();
                for (half, delta) in [word as u32, (word >> 32) as u32].iter().zip(delta.chunks_mut(STEP / 2)) {
                    for (i, d) in delta.iter_mut().enumerate() {
                        let all_or_none = ((half >> i) & 1).wrapping_neg();
                        *d = f32::from_bits(d.to_bits() & all_or_none);
                    }
                }
            }
        }
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
