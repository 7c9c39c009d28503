//! What a stack's layers need to know of a batch, in the device's memory.

use candle_core::{Result, Tensor, bail};

use super::sight::{Plan, Sight};
use super::weights::Weights;
use crate::model::layers::{bucket, cosines_sines};
use crate::model::spec::{LayerSpec, PositionsSpec, RotarySpec, StackSpec};

/// Cosines and sines of each token's angles, `[tokens, frequencies]`.
pub(super) struct Rotation {
    pub cos: Tensor,
    pub sin: Tensor,
}

/// Queries and the keys that one of them sees at least.
pub(super) struct Block {
    /// First query and their number.
    pub first: usize,
    pub count: usize,
    /// Indices of the keys, `[keys]`, u32.
    pub keys: Tensor,
    /// Added to scores, to be broadcast to `[heads, queries, keys]`; f32.
    pub bias: Option<Tensor>,
    /// By window, `[queries, keys]`, f32.
    masks: Vec<(Option<usize>, Tensor)>,
}

/// The tokens that have queries in a layer.
pub(super) struct Queries {
    /// Their indices, u32; `None` for all.
    index: Option<Tensor>,
    pub rotation: Option<Rotation>,
    /// Of attention among the batch's own tokens.
    pub blocks: Vec<Block>,
    /// Of attention to the encoder's.
    pub source_blocks: Vec<Block>,
}

/// Tokens and what they see.
pub(super) struct Text<'a> {
    pub tokens: &'a [u32],
    pub positions: &'a [usize],
    pub sight: Sight,
    /// What the tokens see of the encoder's output, which is `[keys, hidden]`.
    pub sources: Option<(Sight, &'a Tensor)>,
}

impl Block {
    pub fn mask(&self, window: Option<usize>) -> Result<&Tensor> {
        match self.masks.iter().find(|(of, _)| *of == window) {
            Some((_, mask)) => Ok(mask),
            None => bail!("no mask was made for a window of {window:?}"),
        }
    }
}

impl Queries {
    /// `rows`: the tokens with queries, ascending.
    pub fn new(weights: &Weights, stack: &StackSpec, text: &Text, rows: &[usize]) -> Result<Self> {
        let index = match rows.len() < text.tokens.len() {
            true => Some(indices(weights, rows.iter().copied())?),
            false => None,
        };
        let source_blocks = match &text.sources {
            Some((sight, states)) => {
                let plans = sight.plans(rows, states.dim(0)?);
                let block = |plan| Block::new(weights, sight, plan, rows, &[None], None);
                plans.iter().map(block).collect::<Result<_>>()?
            }
            None => Vec::new(),
        };
        let of_rows = rows.iter().filter_map(|row| text.positions.get(*row).copied());
        let blocks = own_blocks(weights, stack, text, rows)?;
        Ok(Queries { index, rotation: rotation(weights, stack, of_rows)?, blocks, source_blocks })
    }

    /// The rows of `x` that have queries.
    pub fn of(&self, x: &Tensor) -> Result<Tensor> {
        self.index.as_ref().map_or_else(|| Ok(x.clone()), |index| x.index_select(index, 0))
    }
}

impl Block {
    fn new(
        weights: &Weights,
        sight: &Sight,
        plan: &Plan,
        rows: &[usize],
        windows: &[Option<usize>],
        bias: Option<Tensor>,
    ) -> Result<Self> {
        let (first, count) = (plan.queries.start, plan.queries.len());
        let mask = |&window: &Option<usize>| {
            let mask = sight.mask(plan, rows, window);
            let mask = Tensor::from_vec(mask, (count, plan.keys.len()), &weights.device)?;
            Ok((window, mask))
        };
        let masks = windows.iter().map(mask).collect::<Result<_>>()?;
        Ok(Block { first, count, keys: indices(weights, plan.keys.iter().copied())?, bias, masks })
    }
}

/// Positions are told to all layers in the way of the first.
fn positions(stack: &StackSpec) -> Option<&PositionsSpec> {
    stack.layers.first().map(|layer| &layer.attention.positions)
}

/// For tokens at `at`, where positions are rotary.
pub(super) fn rotation(
    weights: &Weights,
    stack: &StackSpec,
    at: impl Iterator<Item = usize>,
) -> Result<Option<Rotation>> {
    let Some(PositionsSpec::Rotary(RotarySpec { inverse_frequencies, factor })) = positions(stack)
    else {
        return Ok(None);
    };
    let (cos, sin) = cosines_sines(inverse_frequencies, *factor, at);
    let width = inverse_frequencies.len();
    let table = |values: Vec<f32>| {
        let shape = (values.len() / width.max(1), width);
        Tensor::from_vec(values, shape, &weights.device)?.to_dtype(weights.dtype)
    };
    Ok(Some(Rotation { cos: table(cos)?, sin: table(sin)? }))
}

fn own_blocks(
    weights: &Weights,
    stack: &StackSpec,
    text: &Text,
    rows: &[usize],
) -> Result<Vec<Block>> {
    let windows = windows(&stack.layers);
    let block = |plan: &Plan| {
        let bias = bias(weights, stack, text.positions, plan, rows)?;
        Block::new(weights, &text.sight, plan, rows, &windows, bias)
    };
    text.sight.plans(rows, text.tokens.len()).iter().map(block).collect()
}

/// All windows that layers have.
pub(super) fn windows(layers: &[LayerSpec]) -> Vec<Option<usize>> {
    let mut windows: Vec<_> = layers.iter().map(|layer| layer.attention.window).collect();
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// What positions add to the scores.
fn bias(
    weights: &Weights,
    stack: &StackSpec,
    at: &[usize],
    plan: &Plan,
    rows: &[usize],
) -> Result<Option<Tensor>> {
    let key_positions = || plan.keys.iter().filter_map(|key| at.get(*key).copied());
    match positions(stack) {
        Some(PositionsSpec::Alibi { slopes }) => {
            let keys = Tensor::from_iter(key_positions().map(|at| at as f32), &weights.device)?;
            let slopes = Tensor::new(slopes.as_slice(), &weights.device)?;
            slopes.reshape(((), 1, 1))?.broadcast_mul(&keys).map(Some)
        }
        Some(PositionsSpec::Relative { table, buckets, max_distance, bidirectional }) => {
            let queries = rows.iter().skip(plan.queries.start).take(plan.queries.len());
            let queries = queries.filter_map(|row| at.get(*row).copied());
            let distances = queries
                .flat_map(|query| key_positions().map(move |key| key as isize - query as isize));
            let rows = distances.map(|by| bucket(by, *buckets, *max_distance, *bidirectional));
            let values = weights.matrix(table)?.index_select(&indices(weights, rows)?, 0)?;
            let shape = (plan.queries.len(), plan.keys.len(), values.dim(1)?);
            values.reshape(shape)?.permute((2, 0, 1))?.contiguous().map(Some)
        }
        Some(PositionsSpec::Absolute | PositionsSpec::Rotary(_)) | None => Ok(None),
    }
}

/// `[count]`, u32.
pub(super) fn indices(
    weights: &Weights,
    values: impl IntoIterator<Item = usize>,
) -> Result<Tensor> {
    let values: Vec<u32> = values.into_iter().map(|value| value as u32).collect();
    Tensor::new(values, &weights.device)
}
