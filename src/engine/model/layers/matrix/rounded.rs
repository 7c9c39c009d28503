//! The bf16 product: rows rounded once, multiplied by the best unit that the processor has.

use std::cell::RefCell;

use half::bf16;

use super::format::round;
use super::panel::panel_product;
use super::product::Columns;
use super::{PANEL, STEP};
use crate::model::layers::Rows;
use crate::simd::{Kernel, dispatch};

/// Rows that lie together: two tiles of a matrix unit.
pub const BLOCK: usize = 32;

/// One step of one row: a cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct Line(pub [bf16; STEP]);

thread_local! {
    static BUFFER: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Rows rounded to bf16: `[blocks][steps][BLOCK]` lines. Missing rows and inputs are zeros.
pub struct Rounded {
    pub lines: Vec<Line>,
    pub count: usize,
    pub steps: usize,
}

/// What multiplies bf16 numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// AMX tiles.
    #[cfg(target_arch = "x86_64")]
    Tiles,
    /// AVX-512's dot product of pairs.
    #[cfg(target_arch = "x86_64")]
    Pairs,
    /// The f32 product, with the weights widened on the way.
    Widened,
}

impl Unit {
    /// The fastest that works here.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if super::amx::available() {
                return Unit::Tiles;
            }
            if is_x86_feature_detected!("avx512bf16") {
                return Unit::Pairs;
            }
        }
        Unit::Widened
    }
}

impl Rounded {
    /// Rounds `x` into this thread's buffer.
    pub fn new(x: Rows) -> Self {
        let steps = x.width.div_ceil(STEP);
        let mut lines = BUFFER.take();
        let length = x.count.div_ceil(BLOCK) * steps * BLOCK;
        if lines.len() < length {
            lines.resize(length, Line([bf16::ZERO; STEP]));
        }
        dispatch(RoundRows { x, steps, lines: &mut lines[..length] });
        Rounded { lines, count: x.count, steps }
    }

    /// `out = x Wᵀ`, or `+=` with `add`; `weights`: panels `[steps × STEP / 2][PANEL][2]`.
    pub fn product(&self, unit: Unit, weights: &[bf16], out: &mut Columns, add: bool) {
        match unit {
            // SAFETY: `Unit::best` found the unit.
            #[cfg(target_arch = "x86_64")]
            Unit::Tiles => unsafe { super::amx::product(self, weights, out, add) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Unit::Pairs => unsafe { super::dot::product(self, weights, out, add) },
            Unit::Widened => self.widened(weights, out, add),
        }
    }

    fn widened(&self, weights: &[bf16], out: &mut Columns, add: bool) {
        let depth = self.steps * STEP;
        let mut panel = vec![0f32; depth * PANEL];
        let mut x = vec![0f32; depth];
        let mut sums = [0f32; PANEL];
        for (p, weights) in weights.chunks_exact(depth * PANEL).enumerate() {
            widen_panel(weights, &mut panel);
            for r in 0..self.count {
                self.widen_row(r, &mut x);
                panel_product(&x, depth, 1, depth, &panel, &mut sums, PANEL, false);
                for (value, sum) in out.panel_row(r, p * PANEL).iter_mut().zip(sums) {
                    *value = if add { *value + sum } else { sum };
                }
            }
        }
    }

    fn widen_row(&self, row: usize, x: &mut [f32]) {
        let first = row / BLOCK * self.steps * BLOCK + row % BLOCK;
        for (step, x) in x.chunks_exact_mut(STEP).enumerate() {
            for (x, value) in x.iter_mut().zip(self.lines[first + step * BLOCK].0) {
                *x = value.to_f32();
            }
        }
    }
}

fn widen_panel(weights: &[bf16], panel: &mut [f32]) {
    for (pairs, rows) in weights.chunks_exact(2 * PANEL).zip(panel.chunks_exact_mut(2 * PANEL)) {
        for (column, pair) in pairs.as_chunks::<2>().0.iter().enumerate() {
            rows[column] = pair[0].to_f32();
            rows[PANEL + column] = pair[1].to_f32();
        }
    }
}

impl Drop for Rounded {
    fn drop(&mut self) {
        BUFFER.set(std::mem::take(&mut self.lines));
    }
}

struct RoundRows<'a> {
    x: Rows<'a>,
    steps: usize,
    lines: &'a mut [Line],
}

impl Kernel for RoundRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let blocks = self.lines.chunks_exact_mut(self.steps * BLOCK);
        for (first, block) in (0..self.x.count).step_by(BLOCK).zip(blocks) {
            for r in 0..BLOCK {
                let row = first + r;
                round_row(if row < self.x.count { self.x.row(row) } else { &[] }, &mut block[r..]);
            }
        }
    }
}

/// Every [`BLOCK`]th line, zeros after the end of the row.
#[inline(always)]
fn round_row(row: &[f32], lines: &mut [Line]) {
    let (whole, rest) = row.as_chunks::<STEP>();
    for (step, block) in lines.chunks_mut(BLOCK).enumerate() {
        let mut values = [0f32; STEP];
        match whole.get(step) {
            Some(whole) => values = *whole,
            None if step == whole.len() => values[..rest.len()].copy_from_slice(rest),
            None => {}
        }
        if let Some(line) = block.first_mut() {
            for (rounded, value) in line.0.iter_mut().zip(values) {
                *rounded = round(value);
            }
        }
    }
}
