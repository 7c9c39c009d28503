//! Causal attention over a forest of prefix trees, with rotary embedding and grouped queries.

use candle_core::{CpuStorage, InplaceOp3, Layout, Result};

use super::simd::{Kernel, LANES, dispatch, exp, max_of, sum_of};
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
            dispatch(Walk {
                op: self,
                queries,
                keys_values,
                kv_head,
                stack,
                out,
            });
        }
        Ok(())
    }
}

/// Keys and values of the path from the root to the token at hand, indexed by depth.
struct Stack {
    /// Tiles of [`LANES`] depths, each `[head_dim, LANES]`: scores of a tile are then sums of whole registers.
    keys: Vec<f32>,
    /// `[depth, head_dim]`.
    values: Vec<f32>,
    /// Scores, later probabilities, of one query; whole tiles.
    scores: Vec<f32>,
    /// One rotated and scaled query.
    query: Vec<f32>,
    head_dim: usize,
}

impl Stack {
    fn new(height: usize, head_dim: usize) -> Self {
        let padded = height.next_multiple_of(LANES);
        Stack {
            keys: vec![0.0; padded * head_dim],
            values: vec![0.0; height * head_dim],
            scores: vec![0.0; padded],
            query: vec![0.0; head_dim],
            head_dim,
        }
    }

    #[inline(always)]
    fn push(&mut self, depth: usize, key: &[f32], value: &[f32], rotary: &Rotary) {
        let tile = &mut self.keys[depth / LANES * LANES * self.head_dim..][..LANES * self.head_dim];
        rotary.rotate(depth, key, |i, x| tile[i * LANES + depth % LANES] = x);
        self.values[depth * self.head_dim..][..self.head_dim].copy_from_slice(value);
    }

    #[inline(always)]
    fn attend(&mut self, depth: usize, query: &[f32], rotary: &Rotary, out: &mut [f32]) {
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        let rotated = &mut self.query;
        rotary.rotate(depth, query, |i, x| rotated[i] = x * scale);
        let padded = (depth + 1).next_multiple_of(LANES);
        dot_products(
            &self.query,
            &self.keys[..padded * self.head_dim],
            &mut self.scores[..padded],
        );
        self.scores[depth + 1..padded].fill(f32::NEG_INFINITY);
        let total = softmax_numerators(&mut self.scores[..padded]);
        weighted_sum(&self.scores[..=depth], &self.values, 1.0 / total, out);
    }
}

#[inline(always)]
fn dot_products(query: &[f32], keys: &[f32], scores: &mut [f32]) {
    for (scores, tile) in scores
        .chunks_exact_mut(LANES)
        .zip(keys.chunks_exact(LANES * query.len()))
    {
        let mut sums = [0f32; LANES];
        for (q, column) in query.iter().zip(tile.as_chunks::<LANES>().0) {
            for (sum, k) in sums.iter_mut().zip(column) {
                *sum += q * k;
            }
        }
        scores.copy_from_slice(&sums);
    }
}

/// Replaces scores by `exp(score - max)` and returns their sum.
#[inline(always)]
fn softmax_numerators(scores: &mut [f32]) -> f32 {
    let max = max_of(scores);
    for score in scores.iter_mut() {
        *score = exp(*score - max);
    }
    sum_of(scores, |p| p)
}

#[inline(always)]
fn weighted_sum(weights: &[f32], values: &[f32], scale: f32, out: &mut [f32]) {
    out.fill(0.0);
    for (weight, value) in weights.iter().zip(values.chunks_exact(out.len())) {
        for (out, v) in out.iter_mut().zip(value) {
            *out += weight * v;
        }
    }
    for out in out.iter_mut() {
        *out *= scale;
    }
}

/// One key/value head and its queries, from the first token to the last.
struct Walk<'a> {
    op: &'a TreeAttention<'a>,
    queries: Rows<'a>,
    keys_values: Rows<'a>,
    kv_head: usize,
    stack: &'a mut Stack,
    out: &'a mut [f32],
}

impl Kernel for Walk<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let head_dim = self.op.head_dim;
        let group = self.queries.width / self.op.kv_heads;
        let mut rows = self.op.rows.iter().enumerate().peekable();
        for (token, &depth) in self.op.depths.iter().enumerate() {
            let (keys, values) = self
                .keys_values
                .row(token)
                .split_at(self.op.kv_heads * head_dim);
            let head = self.kv_head * head_dim..(self.kv_head + 1) * head_dim;
            self.stack
                .push(depth, &keys[head.clone()], &values[head], self.op.rotary);
            let Some((row, _)) = rows.next_if(|(_, asked)| **asked == token) else {
                continue;
            };
            let queries = &self.queries.row(row)[self.kv_head * group..][..group];
            let out = &mut self.out[row * self.queries.width + self.kv_head * group..][..group];
            for (query, out) in queries
                .chunks_exact(head_dim)
                .zip(out.chunks_exact_mut(head_dim))
            {
                self.stack.attend(depth, query, self.op.rotary, out);
            }
        }
    }
}
