//! Attention over packed token sequences: trees, segments, other sequences' keys, or growing caches.
//!
//! Every case is the same walk. A chain of tokens at consecutive positions appends its keys and values to a [`Cache`] that
//! was cut back to where the chain begins ([`walk`]); then blocks of its queries, all heads that share a key/value head
//! together, are multiplied with the keys, pass the softmax, and are multiplied with the values ([`block`]). In depth-first
//! order the cache then holds just the ancestors of the token at hand, so a tree needs no mask.
//!
//! A token's numbers are the same bits however it was packed: alone, beside siblings, after a prefix computed earlier or
//! step by step. Keys stand at multiples of their position, sums run over ascending positions in pieces that begin at
//! fixed ones, and what a query must not see has weight zero, which changes no sum. (A NaN or an infinity among the values
//! of a later token of the same chain is the exception: it can spoil earlier tokens of its block.)

mod block;
mod cache;
mod check;
mod relative_bias;
mod softmax;
mod walk;
mod width;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp3, Layout, Result, Storage, Tensor};

use super::{Rotary, Rows, contiguous_mut};

pub use block::temporaries;
pub use cache::Cache;
pub use relative_bias::{RelativeBias, bucket};

use width::scaled_into;

/// Heads and what happens to a score before the softmax, the same for all tokens of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadShape {
    /// Number of query heads, a multiple of `kv_heads`.
    pub heads: usize,
    /// Number of key and value heads; query head `h` reads key/value head `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Multiplies query · key.
    pub scale: f32,
    /// `cap · tanh(score / cap)` before any bias (Gemma 2: Gemma Team 2024, section 2).
    pub softcap: Option<f32>,
    /// A query at position `p` sees keys at `p - window + 1..=p`; at least 1, for causal sights only.
    pub window: Option<usize>,
}

/// What of a token's position enters the scores.
#[derive(Clone, Copy)]
pub enum Positions<'a> {
    /// Nothing: the embeddings carry it.
    Absolute,
    /// Queries and keys are rotated.
    Rotary(&'a Rotary),
    /// `slope · key position` is added, one slope per head (Press et al. 2022, in the form of transformers' Bloom).
    Alibi(&'a [f32]),
    /// A learned bias by distance is added (T5).
    Relative(&'a RelativeBias),
}

impl Positions<'_> {
    /// Writes `scale · head`, rotated where positions are rotary, to `out`, of the same length.
    #[inline(always)]
    fn place(&self, position: usize, head: &[f32], scale: f32, out: &mut [f32]) {
        match self {
            Positions::Rotary(rotary) => rotary.rotate(position, head, scale, out),
            _ => scaled_into(out, head, scale),
        }
    }
}

/// Which keys a query sees.
#[derive(Clone, Copy)]
pub enum Sight<'a> {
    /// Causal: a token sees its ancestors and itself.
    Tree {
        /// Depth of each token, in depth-first order, at least the prefix's length; it is the position too.
        depths: &'a [usize],
        /// Keys and values of the tokens at depths `0..prefix.len()`, which all trees share.
        prefix: Option<&'a Cache>,
    },
    /// Bidirectional: every token sees its whole segment; its position is the index in the segment.
    Segments {
        /// Segment `i` is the tokens `starts[i]..starts[i + 1]`; from 0 to the number of tokens.
        starts: &'a [usize],
    },
    /// Cross-attention: keys and values are of other sequences, without positions.
    Sources {
        /// Segment `i` is the tokens `starts[i]..starts[i + 1]`; from 0 to the number of tokens.
        starts: &'a [usize],
        /// The segment that each query row sees; rows with the same one are best neighbours.
        source_of_row: &'a [usize],
    },
    /// Generation: runs of tokens, each the continuation of a sequence of its own, causal.
    Caches {
        /// Keys and values of the tokens that all sequences begin with.
        prefix: Option<&'a Cache>,
        /// Keys and values so far, one per run, each begun by [`Cache::after`] of the prefix; the run's are appended.
        caches: &'a RefCell<Vec<Cache>>,
        /// Tokens of each run; the first has the position behind the prefix's whole tiles and `caches[i]`.
        counts: &'a [usize],
    },
    /// Cross-attention to keys and values that were computed before, without positions.
    Kept {
        /// One per source.
        caches: &'a [Cache],
        /// The cache that each query row sees; rows with the same one are best neighbours.
        cache_of_row: &'a [usize],
    },
}

/// `softmax(scale · q kᵀ + bias) v` for the keys in sight.
///
/// Arguments: queries `[query rows, heads · head_dim]` and, side by side, keys and values
/// `[tokens, 2 · kv_heads · head_dim]`, both before rotation, f32, possibly column ranges of wider matrices. Written:
/// `[query rows, heads · head_dim]`. Runs on the calling thread.
///
/// # Errors
/// Shapes, positions or ranges that do not fit each other; nothing is written then, and no cache changed.
pub struct Attention<'a> {
    /// Heads and scores.
    pub shape: &'a HeadShape,
    /// Positions.
    pub positions: Positions<'a>,
    /// Keys in sight.
    pub sight: Sight<'a>,
    /// Token of each query, ascending; not read with [`Sight::Sources`] and [`Sight::Kept`].
    pub rows: &'a [usize],
}

impl InplaceOp3 for Attention<'_> {
    fn name(&self) -> &'static str {
        "attention"
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
        check::operands(self, queries, keys_values, out_layout.shape().dims2()?)?;
        let out = contiguous_mut(out, out_layout)?;
        walk::Walk::new(self, queries, keys_values, out).run()
    }
}

/// Appends a chain of tokens to `cache`, as the prefix of trees to come: `kv`, `[tokens, 2 · kv_heads · head_dim]` before
/// rotation, f32; the first token has position `cache.len()`.
///
/// # Errors
/// Shapes that differ, or more positions than the table has; the cache is as before then.
pub fn extend_cache(
    cache: &mut Cache,
    kv: &Tensor,
    positions: &Positions,
    shape: &HeadShape,
) -> Result<()> {
    let (storage, layout) = kv.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        candle_core::bail!("the cache is kept on the CPU")
    };
    let keys_values = Rows::new(storage, layout)?;
    check::appended(shape, cache, keys_values)?;
    check::reach(positions, shape, cache.len() + keys_values.count)?;
    cache.extend(cache.len(), keys_values, 0..keys_values.count, positions);
    Ok(())
}
