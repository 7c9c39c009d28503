//! Attention block by block.

use candle_core::{DType, Result, Tensor};
use candle_nn::{ops::softmax_last_dim, rotary_emb::rope_thd};

use super::operations::capped;
use super::surroundings::{Block, Rotation};
use super::weights::Weights;
use crate::model::spec::{AttentionSpec, NormSpec};

/// Inputs of an attention.
pub(super) struct Operands<'a> {
    /// `[queries, hidden]`, what the queries are made from.
    pub queries: &'a Tensor,
    pub query_rotation: Option<&'a Rotation>,
    /// `[keys, hidden]`, what keys and values are made from.
    pub keys: &'a Tensor,
    pub key_rotation: Option<&'a Rotation>,
    /// Together all queries, in order.
    pub blocks: &'a [Block],
}

/// `[queries, hidden]`, behind the output matrix.
pub(super) fn attend(weights: &Weights, spec: &AttentionSpec, of: &Operands) -> Result<Tensor> {
    let (query_norm, key_norm) = match &spec.head_norms {
        Some((query, key)) => (Some(query), Some(key)),
        None => (None, None),
    };
    let query = weights.linear(&spec.query, of.queries)?;
    let query = placed(weights, query, spec.heads, query_norm, of.query_rotation)?;
    let key = weights.linear(&spec.key, of.keys)?;
    let key = placed(weights, key, spec.kv_heads, key_norm, of.key_rotation)?;
    let value = weights.linear(&spec.value, of.keys)?;
    let value = value.reshape((value.dim(0)?, spec.kv_heads, ()))?;
    let gathered = of.blocks.iter().map(|block| gather(spec, block, &query, &key, &value));
    let gathered = gathered.collect::<Result<Vec<Tensor>>>()?;
    weights.linear(&spec.output, &Tensor::cat(&gathered, 0)?)
}

/// `[tokens, heads · head_dim]` to `[tokens, heads, head_dim]`, normed and rotated.
fn placed(
    weights: &Weights,
    x: Tensor,
    heads: usize,
    norm: Option<&NormSpec>,
    rotation: Option<&Rotation>,
) -> Result<Tensor> {
    let x = x.reshape((x.dim(0)?, heads, ()))?;
    let x = norm.map_or(Ok(x.clone()), |norm| weights.norm(norm, &x))?;
    rotation.map_or(Ok(x.clone()), |rotation| rotated(&x, rotation))
}

/// `x`: `[tokens, heads, head_dim]`, of which the first `2 · frequencies` elements are rotated.
fn rotated(x: &Tensor, rotation: &Rotation) -> Result<Tensor> {
    let (width, head_dim) = (2 * rotation.cos.dim(1)?, x.dim(2)?);
    let turn = |x: &Tensor| rope_thd(&x.unsqueeze(0)?, &rotation.cos, &rotation.sin)?.squeeze(0);
    if width == head_dim {
        return turn(x);
    }
    let turned = turn(&x.narrow(2, 0, width)?.contiguous()?)?;
    Tensor::cat(&[turned, x.narrow(2, width, head_dim - width)?.contiguous()?], 2)
}

/// `softmax(scale · q kᵀ + bias + mask) v` of one block, `[queries, heads · head_dim]`.
fn gather(
    spec: &AttentionSpec,
    block: &Block,
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
) -> Result<Tensor> {
    let (heads, kv_heads, head_dim) = (spec.heads, spec.kv_heads, spec.head_dim);
    let (queries, keys) = (block.count, block.keys.dim(0)?);
    let by_head = |x: &Tensor| x.transpose(0, 1)?.contiguous();
    let query = by_head(&query.narrow(0, block.first, queries)?)?;
    let key = by_head(&key.index_select(&block.keys, 0)?)?;
    let value = by_head(&value.index_select(&block.keys, 0)?)?;
    // The query heads of one key head lie together: their queries are rows of one matrix.
    let query = query.reshape((kv_heads, heads / kv_heads * queries, head_dim))?;
    let scores = query.matmul(&key.transpose(1, 2)?)?.to_dtype(DType::F32)?;
    let scores = scores.reshape((heads, queries, keys))?;
    let scores = capped((scores * f64::from(spec.scale))?, spec.softcap)?;
    let scores = match &block.bias {
        Some(bias) => scores.broadcast_add(bias)?,
        None => scores,
    };
    let scores = scores.broadcast_add(block.mask(spec.window)?)?;
    let shares = softmax_last_dim(&scores)?.to_dtype(value.dtype())?;
    let shares = shares.reshape((kv_heads, heads / kv_heads * queries, keys))?;
    let sums = shares.matmul(&value)?.reshape((heads, queries, head_dim))?;
    sums.transpose(0, 1)?.reshape((queries, heads * head_dim))
}
