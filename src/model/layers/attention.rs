//! Causal attention over a forest of prefix trees, with rotary embedding and grouped queries.

use candle_core::{CpuStorage, InplaceOp3, Layout, Result};

use super::simd::{Kernel, LANES, dispatch, exp, max_of, reduce};
use super::{Rotary, Rows, contiguous_mut};

/// `softmax(q kᵀ / sqrt(head_dim)) v`, where each token sees its ancestors and itself.
///
/// Arguments: queries `[rows, heads · head_dim]` and, side by side, keys and values `[tokens, 2 · kv_heads · head_dim]`,
/// both before rotation, f32. Written: `[rows, heads · head_dim]`.
pub struct TreeAttention<'a> {
    /// Depth of each token, in depth-first order.
    pub depths: &'a [usize],
    /// Token of each query, ascending.
    pub rows: &'a [usize],
    /// Covers the greatest depth.
    pub rotary: &'a Rotary,
    /// Number of key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

impl InplaceOp3 for TreeAttention<'_> {
    fn name(&self) -> &'static str {
        "tree-attention"
    }

    fn cpu_fwd(
        &self,
        out: &mut CpuStorage,
        out_layout: &Layout,
        q: &CpuStorage,
        q_layout: &Layout,
        kv: &CpuStorage,
        kv_layout: &Layout,
    ) -> Result<()> {
        let (queries, keys_values) = (Rows::new(q, q_layout)?, Rows::new(kv, kv_layout)?);
        let out = contiguous_mut(out, out_layout)?;
        let stack = &mut Stack::new(self.depths.iter().max().map_or(0, |d| d + 1), self.head_dim);
        for kv_head in 0..self.kv_heads {
            let walk = Walk::<0> { op: self, queries, keys_values, kv_head, stack, out };
            match self.head_dim {
                16 => dispatch(walk.with_head_dim::<16>()),
                32 => dispatch(walk.with_head_dim::<32>()),
                64 => dispatch(walk.with_head_dim::<64>()),
                128 => dispatch(walk.with_head_dim::<128>()),
                _ => dispatch(walk),
            }
        }
        Ok(())
    }
}

/// Keys and values of the path from the root to the token at hand, indexed by depth.
struct Stack {
    /// Tiles of [`LANES`] depths, each `[head_dim, LANES]`: scores of a tile are then sums of whole registers.
    keys: Vec<f32>,
    /// `[depth, head_dim]`, each row filled up to whole registers.
    values: Vec<f32>,
    value_stride: usize,
    /// Scores, later probabilities, of one query; whole tiles.
    scores: Vec<f32>,
    /// One rotated key or query.
    rotated: Vec<f32>,
}

impl Stack {
    fn new(height: usize, head_dim: usize) -> Self {
        let padded = height.next_multiple_of(LANES);
        let value_stride = head_dim.next_multiple_of(LANES);
        Stack {
            keys: vec![0.0; padded * head_dim],
            values: vec![0.0; height * value_stride],
            value_stride,
            scores: vec![0.0; padded],
            rotated: vec![0.0; head_dim],
        }
    }

    #[inline(always)]
    fn push(&mut self, depth: usize, key: &[f32], value: &[f32], rotary: &Rotary) {
        let tile_size = LANES * key.len();
        let tile = &mut self.keys[depth / LANES * tile_size..][..tile_size];
        let rotated = &mut self.rotated[..key.len()];
        rotary.rotate(depth, key, 1.0, rotated);
        for (column, x) in tile.as_chunks_mut::<LANES>().0.iter_mut().zip(rotated) {
            column[depth % LANES] = *x;
        }
        self.values[depth * self.value_stride..][..value.len()].copy_from_slice(value);
    }

    #[inline(always)]
    fn attend(&mut self, depth: usize, query: &[f32], rotary: &Rotary, out: &mut [f32]) {
        let scale = 1.0 / (query.len() as f32).sqrt();
        let rotated = &mut self.rotated[..query.len()];
        rotary.rotate(depth, query, scale, rotated);
        let scores = &mut self.scores[..(depth + 1).next_multiple_of(LANES)];
        dot_products(rotated, &self.keys, depth, scores);
        let total = softmax_numerators(scores);
        weighted_sum(&scores[..=depth], &self.values, self.value_stride, 1.0 / total, out);
    }
}

/// Scores of the keys up to `depth`, and minus infinity for what the last tile has beyond.
#[inline(always)]
fn dot_products(query: &[f32], keys: &[f32], depth: usize, scores: &mut [f32]) {
    let tiles = keys.chunks_exact(LANES * query.len());
    for ((index, scores), tile) in
        scores.as_chunks_mut::<LANES>().0.iter_mut().enumerate().zip(tiles)
    {
        let mut sums = [0f32; LANES];
        for (q, column) in query.iter().zip(tile.as_chunks::<LANES>().0) {
            for (sum, k) in sums.iter_mut().zip(column) {
                *sum += q * k;
            }
        }
        let seen = (depth - index * LANES) as u32;
        for (lane, (score, sum)) in scores.iter_mut().zip(sums).enumerate() {
            *score = if lane as u32 <= seen { sum } else { f32::NEG_INFINITY };
        }
    }
}

/// Replaces scores, whole tiles, by `exp(score - max)` and returns their sum.
#[inline(always)]
fn softmax_numerators(scores: &mut [f32]) -> f32 {
    let max = max_of(scores);
    let mut sums = [0f32; LANES];
    for tile in scores.as_chunks_mut::<LANES>().0 {
        for (sum, score) in sums.iter_mut().zip(tile) {
            *score = exp(*score - max);
            *sum += *score;
        }
    }
    reduce(sums, |a, b| a + b)
}

/// `out = scale · Σ weights[i] · values[i]`, one register's width of `out` at a time.
#[inline(always)]
fn weighted_sum(weights: &[f32], values: &[f32], stride: usize, scale: f32, out: &mut [f32]) {
    for (block, out) in out.chunks_mut(LANES).enumerate() {
        let mut sums = [0f32; LANES];
        for (weight, row) in weights.iter().zip(values.chunks_exact(stride)) {
            for (sum, v) in sums.iter_mut().zip(&row.as_chunks::<LANES>().0[block]) {
                *sum += weight * v;
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum * scale;
        }
    }
}

/// One key/value head and its queries, from the first token to the last. `D` is the width of a head where it is known
/// to the compiler, which halves the time; 0 where it is not.
struct Walk<'a, const D: usize> {
    op: &'a TreeAttention<'a>,
    queries: Rows<'a>,
    keys_values: Rows<'a>,
    kv_head: usize,
    stack: &'a mut Stack,
    out: &'a mut [f32],
}

impl<'a> Walk<'a, 0> {
    fn with_head_dim<const D: usize>(self) -> Walk<'a, D> {
        let Walk { op, queries, keys_values, kv_head, stack, out } = self;
        Walk { op, queries, keys_values, kv_head, stack, out }
    }
}

impl<const D: usize> Kernel for Walk<'_, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let head_dim = if D == 0 { self.op.head_dim } else { D };
        let group = self.queries.width / self.op.kv_heads;
        let mut rows = self.op.rows.iter().enumerate().peekable();
        for (token, &depth) in self.op.depths.iter().enumerate() {
            let (keys, values) = self.keys_values.row(token).split_at(self.op.kv_heads * head_dim);
            let (key, value) =
                (&keys[self.kv_head * head_dim..], &values[self.kv_head * head_dim..]);
            self.stack.push(depth, &key[..head_dim], &value[..head_dim], self.op.rotary);
            let Some((row, _)) = rows.next_if(|(_, asked)| **asked == token) else {
                continue;
            };
            let queries = &self.queries.row(row)[self.kv_head * group..][..group];
            let out = &mut self.out[row * self.queries.width + self.kv_head * group..][..group];
            for (query, out) in queries.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim)) {
                self.stack.attend(depth, &query[..head_dim], self.op.rotary, &mut out[..head_dim]);
            }
        }
    }
}
