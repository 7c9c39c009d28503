//! The f32 product, blocked for the caches.
//!
//! A block of rows stays in L2 while the panels stream past; a piece of one panel stays in L1 while the block's rows pass.
//! Every piece's sum is added to the result in the order of `k`, and the pieces depend on the number of inputs alone.

use std::cell::RefCell;
use std::ops::Range;

use super::PANEL;
use super::panel::panel_product;
use super::product::Columns;
use crate::model::layers::Rows;

/// Rows of a block.
const ROWS: usize = 196;

/// The most inputs of a piece: `DEPTH × PANEL` weights are 24 KiB, half of an L1 cache.
const DEPTH: usize = 192;

/// Distance of a block's rows in memory: an odd number of cache lines, so that they fall into different sets of L1.
const LINE: usize = DEPTH + 16;

/// Rows of a result that is too narrow for a whole panel, taken together.
const STRIP: usize = 14;

/// The most values of a block: 1 MiB, half of an L2 cache.
const BLOCK: usize = 1 << 18;

thread_local! {
    static BUFFER: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// `out = x Wᵀ`, or `+=` with `add`; `weights`: panels `[x.width][PANEL]`.
pub fn product(x: Rows, weights: &[f32], out: &mut Columns, add: bool) {
    let depth = x.width.div_ceil(x.width.div_ceil(DEPTH));
    let span = depth * (BLOCK / (depth * x.count.min(ROWS))).max(1);
    let mut buffer = BUFFER.take();
    for first in (0..x.count).step_by(ROWS) {
        for start in (0..x.width).step_by(span) {
            let rows = ROWS.min(x.count - first);
            let inputs = start..x.width.min(start + span);
            let block = Block { first, rows, inputs, depth };
            block.copy(x, &mut buffer);
            for (p, panel) in weights.chunks_exact(x.width * PANEL).enumerate() {
                block.multiply(&buffer, panel, p * PANEL, out, add);
            }
        }
    }
    BUFFER.set(buffer);
}

/// Rows `first..first + rows` and a range of the inputs, in pieces of `depth` of them.
struct Block {
    first: usize,
    rows: usize,
    inputs: Range<usize>,
    depth: usize,
}

impl Block {
    /// The inputs of each piece and where its rows start in the buffer.
    fn pieces(&self) -> impl Iterator<Item = (Range<usize>, usize)> {
        let starts = self.inputs.clone().step_by(self.depth);
        starts.enumerate().map(|(piece, start)| {
            (start..self.inputs.end.min(start + self.depth), piece * self.rows * LINE)
        })
    }

    fn copy(&self, x: Rows, buffer: &mut Vec<f32>) {
        let length = self.inputs.len().div_ceil(self.depth) * self.rows * LINE;
        if buffer.len() < length {
            buffer.resize(length, 0.0);
        }
        for (inputs, at) in self.pieces() {
            for (r, line) in buffer[at..].chunks_exact_mut(LINE).take(self.rows).enumerate() {
                line[..inputs.len()].copy_from_slice(&x.row(self.first + r)[inputs.clone()]);
            }
        }
    }

    /// The block's rows times one panel, whose first output is column `column` of `out`.
    fn multiply(&self, buffer: &[f32], panel: &[f32], column: usize, out: &mut Columns, add: bool) {
        for (inputs, at) in self.pieces() {
            let add = add || inputs.start > 0;
            let panel = &panel[inputs.start * PANEL..];
            let (x, depth) = (&buffer[at..], inputs.len());
            if out.width - column < PANEL {
                self.multiply_narrow(x, depth, panel, column, out, add);
                continue;
            }
            let c = &mut out.values[self.first * out.stride + column..];
            panel_product(x, LINE, self.rows, depth, panel, c, out.stride, add);
        }
    }

    /// The last panel where it is wider than what is left of `out`.
    fn multiply_narrow(
        &self,
        x: &[f32],
        depth: usize,
        panel: &[f32],
        column: usize,
        out: &mut Columns,
        add: bool,
    ) {
        let mut sums = [0f32; STRIP * PANEL];
        for first in (0..self.rows).step_by(STRIP) {
            let rows = STRIP.min(self.rows - first);
            panel_product(&x[first * LINE..], LINE, rows, depth, panel, &mut sums, PANEL, false);
            for (r, sums) in sums.chunks_exact(PANEL).take(rows).enumerate() {
                let row = out.panel_row(self.first + first + r, column);
                for (value, sum) in row.iter_mut().zip(sums) {
                    *value = if add { *value + sum } else { *sum };
                }
            }
        }
    }
}
