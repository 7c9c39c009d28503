//! A tensor whose thresholds, masks, angles and norms are worked out, so that any part of it can be merged.

use crate::checkpoint::Elements;

use super::fused::{self, Blend, KeptPart, Part, STEP};
use super::kernels::{
    BLOCK, add_agreeing, add_factored, add_scaled, add_weighted_delta, divide, put_on_base,
    put_on_base_by_element, scaled, subtract, weigh_and_elect,
};
use super::sparsify::Sparse;
use super::{Mixing, TaskVectors};

/// Divisors smaller than this leave the sum as it is.
const ZERO_WEIGHT: f32 = 1e-8;

pub(super) enum Ready<'a> {
    /// `Σ w x`, divided by `divisor` where there is one.
    Weighted {
        inputs: Vec<(Elements<'a>, f32)>,
        divisor: Option<f32>,
    },
    TaskVectors(ReadyVectors<'a>),
    /// By a method that needs the whole tensor at once.
    Whole(Vec<f32>),
}

pub(super) struct ReadyVectors<'a> {
    pub(super) base: Elements<'a>,
    pub(super) experts: Vec<Expert<'a>>,
    pub(super) elect_sign: bool,
    pub(super) mixing: Mixing,
    /// Σ w, or 1 where that is not divided by.
    pub(super) divisor: f32,
}

pub(super) struct Expert<'a> {
    pub(super) elements: Elements<'a>,
    pub(super) weight: f32,
    /// `None`: all elements, with factor 1.
    pub(super) sparse: Option<Sparse>,
}

impl Expert<'_> {
    /// `None` where each element has a factor of its own.
    fn part(&self, start: usize) -> Option<Part<'_>> {
        let (elements, weight) = (&self.elements, self.weight);
        let (kept, factor) = match &self.sparse {
            Some(sparse) => (sparse.part(start)?, sparse.factor),
            None => (KeptPart::All, 1.0),
        };
        Some(Part { elements, weight, factor, kept })
    }

    /// Indices from which on [`Expert::part`] is another.
    fn changes(&self) -> [usize; 2] {
        self.sparse.as_ref().map_or([0; 2], Sparse::changes)
    }
}

impl Ready<'_> {
    /// Merges elements `start..start + out.len()`; `start` is a multiple of 64.
    pub(super) fn fill(&self, start: usize, out: &mut [f32]) {
        match self {
            Ready::Weighted { inputs, divisor } => {
                let done = fused::weighted(inputs, *divisor, start, out);
                fill_weighted(inputs, *divisor, start + done, &mut out[done..]);
            }
            Ready::TaskVectors(vectors) => vectors.fill(start, out),
            Ready::Whole(values) => out.copy_from_slice(&values[start..start + out.len()]),
        }
    }
}

fn fill_weighted(inputs: &[(Elements, f32)], divisor: Option<f32>, start: usize, out: &mut [f32]) {
    let mut buffer = [0.0; BLOCK];
    for (number, out) in out.chunks_mut(BLOCK).enumerate() {
        let start = start + number * BLOCK;
        for (i, (elements, weight)) in inputs.iter().enumerate() {
            let x = elements.part(start, &mut buffer[..out.len()]);
            // The first is not added to 0, so that a weight of 1 gives back the very bits.
            match i {
                0 => scaled(out, x, *weight),
                _ => add_scaled(out, x, *weight),
            }
        }
        if let Some(divisor) = divisor {
            divide(out, divisor);
        }
    }
}

/// Σ w, or 1 where it is next to 0 or nothing is to be divided.
pub(super) fn divisor(operation: &TaskVectors) -> f32 {
    let sum: f32 = operation.weights.iter().sum();
    if operation.mixing.normalize && sum.abs() >= ZERO_WEIGHT { sum } else { 1.0 }
}

impl ReadyVectors<'_> {
    /// Stretch by stretch, in which every expert's thresholds stay the same; the step in which one changes, and the end,
    /// are done in the general way.
    fn fill(&self, start: usize, out: &mut [f32]) {
        let end = start + out.len();
        let changes = self.experts.iter().flat_map(Expert::changes);
        let inside = changes.filter(|change| *change > start && *change < end);
        let mut changes: Vec<usize> = inside.map(|change| (change - start) / STEP * STEP).collect();
        changes.sort_unstable();
        let mut done = 0;
        for change in changes.into_iter().chain([out.len()]) {
            if change < done {
                continue;
            }
            let stretch = self.fill_fused(start + done, &mut out[done..change]).unwrap_or(0);
            let next = (change + STEP).min(out.len());
            self.fill_in_blocks(start + done + stretch, &mut out[done + stretch..next]);
            done = next;
        }
    }

    fn fill_in_blocks(&self, start: usize, out: &mut [f32]) {
        match self.elect_sign {
            true => self.fill_elected(start, out),
            false => self.fill_summed(start, out),
        }
    }

    fn fill_fused(&self, start: usize, out: &mut [f32]) -> Option<usize> {
        let parts = self.experts.iter().map(|expert| expert.part(start));
        let parts: Vec<Part> = parts.collect::<Option<_>>()?;
        let (elect_sign, mixing, divisor) = (self.elect_sign, self.mixing, self.divisor);
        let blend = Blend { elect_sign, mixing, divisor };
        Some(fused::task_vectors(&self.base, &parts, blend, start, out))
    }

    fn fill_summed(&self, start: usize, out: &mut [f32]) {
        let (mut base, mut buffer) = ([0.0; BLOCK], [0.0; BLOCK]);
        let (mut sum, mut delta) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (number, out) in out.chunks_mut(BLOCK).enumerate() {
            let (start, length) = (start + number * BLOCK, out.len());
            let base = self.base.part(start, &mut base[..length]);
            let sum = &mut sum[..length];
            sum.fill(0.0);
            for expert in &self.experts {
                let x = expert.elements.part(start, &mut buffer[..length]);
                let Some(sparse) = &expert.sparse else {
                    add_weighted_delta(sum, x, base, expert.weight);
                    continue;
                };
                let delta = &mut delta[..length];
                subtract(delta, x, base);
                sparse.keep(start, delta);
                add_factored(sum, delta, sparse.factor, expert.weight);
            }
            put_on_base(out, base, sum, self.divisor, self.mixing.lambda);
        }
    }

    fn fill_elected(&self, start: usize, out: &mut [f32]) {
        let (mut base, mut buffer) = ([0.0; BLOCK], [0.0; BLOCK]);
        let mut totals = Totals::new();
        let mut weighted = vec![0.0; BLOCK * self.experts.len()];
        for (number, out) in out.chunks_mut(BLOCK).enumerate() {
            let (start, length) = (start + number * BLOCK, out.len());
            let base = self.base.part(start, &mut base[..length]);
            let (elected, sum, divisor) = totals.cleared(length);
            for (expert, delta) in self.experts.iter().zip(weighted.chunks_mut(BLOCK)) {
                let delta = &mut delta[..length];
                subtract(delta, expert.elements.part(start, &mut buffer[..length]), base);
                let factor = expert.sparse.as_ref().map_or(1.0, |sparse| {
                    sparse.keep(start, delta);
                    sparse.factor
                });
                weigh_and_elect(delta, factor, expert.weight, elected);
            }
            for (expert, delta) in self.experts.iter().zip(weighted.chunks(BLOCK)) {
                add_agreeing(sum, divisor, elected, &delta[..length], expert.weight);
            }
            put_on_base_by_element(out, base, sum, divisor, self.mixing);
        }
    }
}

/// Sums over the experts of one block.
struct Totals([[f32; BLOCK]; 3]);

impl Totals {
    fn new() -> Totals {
        Totals([[0.0; BLOCK]; 3])
    }

    /// Weighted sum, sum of those that agree, and sum of their weights.
    fn cleared(&mut self, length: usize) -> (&mut [f32], &mut [f32], &mut [f32]) {
        let [elected, sum, divisor] = &mut self.0;
        let parts = (&mut elected[..length], &mut sum[..length], &mut divisor[..length]);
        parts.0.fill(0.0);
        parts.1.fill(0.0);
        parts.2.fill(0.0);
        parts
    }
}
