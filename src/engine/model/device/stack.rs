//! Embedding, layers and what follows the last one.

use candle_core::{Result, Tensor};

use super::attention::{Operands, attend};
use super::mlp;
use super::surroundings::{Queries, Rotation, Text, indices, rotation};
use super::weights::Weights;
use crate::model::spec::{EmbeddingSpec, LayerSpec, NormSpec, StackSpec, SublayerNorm};

/// What all layers share.
struct Surroundings<'a> {
    /// Of all tokens.
    rotation: Option<Rotation>,
    /// The encoder's output.
    sources: Option<&'a Tensor>,
}

/// States of `rows` behind the last layer, `[rows, hidden]`; in the last layer nothing else is computed.
pub(super) fn run(
    weights: &Weights,
    stack: &StackSpec,
    text: &Text,
    rows: &[usize],
) -> Result<Tensor> {
    let every: Vec<usize> = (0..text.tokens.len()).collect();
    let all = Queries::new(weights, stack, text, &every)?;
    let some = match rows.len() < every.len() {
        true => Some(Queries::new(weights, stack, text, rows)?),
        false => None,
    };
    let around = Surroundings {
        rotation: rotation(weights, stack, text.positions.iter().copied())?,
        sources: text.sources.as_ref().map(|(_, states)| *states),
    };
    let mut x = embed(weights, &stack.embedding, text)?;
    for (number, layer) in stack.layers.iter().enumerate() {
        let last = number + 1 == stack.layers.len();
        let queries = some.as_ref().filter(|_| last).unwrap_or(&all);
        x = forward(weights, layer, &x, queries, &around)?;
    }
    normed(weights, stack.norm.as_ref(), x)
}

fn normed(weights: &Weights, norm: Option<&NormSpec>, x: Tensor) -> Result<Tensor> {
    norm.map_or_else(|| Ok(x.clone()), |norm| weights.norm(norm, &x))
}

fn embed(weights: &Weights, spec: &EmbeddingSpec, text: &Text) -> Result<Tensor> {
    let tokens = indices(weights, text.tokens.iter().map(|&token| token as usize))?;
    let mut x = weights.matrix(&spec.tokens)?.index_select(&tokens, 0)?;
    if spec.scale != 1.0 {
        x = (x * f64::from(spec.scale))?;
    }
    if let Some(token_type) = &spec.token_type {
        x = x.broadcast_add(weights.vector(token_type)?)?;
    }
    if let Some((table, offset)) = &spec.positions {
        let rows = indices(weights, text.positions.iter().map(|position| position + offset))?;
        x = (x + weights.matrix(table)?.index_select(&rows, 0)?)?;
    }
    let x = normed(weights, spec.norm.as_ref(), x)?;
    match &spec.projection {
        Some(projection) => weights.linear(projection, &x),
        None => Ok(x),
    }
}

/// `x`: `[tokens, hidden]`; the rows with queries come out.
fn forward(
    weights: &Weights,
    layer: &LayerSpec,
    x: &Tensor,
    queries: &Queries,
    around: &Surroundings,
) -> Result<Tensor> {
    let (stream, input) = open(weights, &layer.attention_norm, x)?;
    let operands = Operands {
        queries: &queries.of(&input)?,
        query_rotation: queries.rotation.as_ref(),
        keys: &input,
        key_rotation: around.rotation.as_ref(),
        blocks: &queries.blocks,
    };
    let attended = attend(weights, &layer.attention, &operands)?;
    let mut x = close(weights, &layer.attention_norm, &queries.of(&stream)?, attended)?;
    if let (Some((attention, norm)), Some(sources)) = (&layer.cross, around.sources) {
        let (stream, input) = open(weights, norm, &x)?;
        let operands = Operands {
            queries: &input,
            query_rotation: None,
            keys: sources,
            key_rotation: None,
            blocks: &queries.source_blocks,
        };
        x = close(weights, norm, &stream, attend(weights, attention, &operands)?)?;
    }
    let (stream, input) = open(weights, &layer.mlp_norm, &x)?;
    close(weights, &layer.mlp_norm, &stream, mlp::forward(weights, &layer.mlp, &input)?)
}

/// What the sublayer's result is added to, and what the sublayer reads.
fn open(weights: &Weights, norm: &SublayerNorm, x: &Tensor) -> Result<(Tensor, Tensor)> {
    match norm {
        SublayerNorm::Before(norm) | SublayerNorm::Around { before: norm, .. } => {
            Ok((x.clone(), weights.norm(norm, x)?))
        }
        SublayerNorm::BeforeBoth(norm) => {
            let normed = weights.norm(norm, x)?;
            Ok((normed.clone(), normed))
        }
        SublayerNorm::After(_) => Ok((x.clone(), x.clone())),
    }
}

/// Adds the sublayer's result.
fn close(
    weights: &Weights,
    norm: &SublayerNorm,
    stream: &Tensor,
    result: Tensor,
) -> Result<Tensor> {
    match norm {
        SublayerNorm::Before(_) | SublayerNorm::BeforeBoth(_) => stream + result,
        SublayerNorm::After(norm) => weights.norm(norm, &(stream + result)?),
        SublayerNorm::Around { after, .. } => stream + weights.norm(after, &result)?,
    }
}
