//! What a batch takes in the device's memory while it is scored.

use candle_core::Device;

use super::surroundings::windows;
use super::{DeviceNetwork, Sight, head};
use crate::model::batch::Batch;
use crate::model::spec::{GatedSpec, LayerSpec, MlpSpec, PositionsSpec, StackSpec};

const F32: usize = size_of::<f32>();

/// Blocks of a list of queries.
#[derive(Default)]
struct Blocks {
    /// Query-key pairs of all of them, and of the largest.
    pairs: usize,
    most_pairs: usize,
    /// Most keys of one.
    keys: usize,
}

impl DeviceNetwork {
    /// Bytes that scoring `batch` holds at most, beside the weights; what the allocator keeps in reserve comes on top.
    ///
    /// They grow with the batch's tokens, not with their square, so a caller can pack until a share of the device's memory
    /// is reached. Masks alone are `tokens · (512 + longest text)` floats, once for each window that layers have.
    pub fn activation_bytes(&self, batch: &Batch) -> usize {
        let every = |count: usize| (0..count).collect::<Vec<_>>();
        let tokens = batch.tokens.len();
        let sight = match batch.starts.is_empty() {
            true => Sight::tree(&batch.positions).ok(),
            false => Some(Sight::segments(&batch.starts)),
        };
        let blocks = |sight: &Option<Sight>, rows: &[usize], keys| {
            sight.as_ref().map_or_else(Blocks::default, |sight| Blocks::new(sight, rows, keys))
        };
        let of_rows = blocks(&sight, &batch.rows, tokens);
        let own = blocks(&sight, &every(tokens), tokens).and(of_rows);
        let reader = self.spec.decoder.as_ref().or(self.spec.encoder.as_ref());
        let own = reader.map_or(0, |stack| self.run_bytes(stack, tokens, &own));
        let sources = match (&self.spec.encoder, &self.spec.decoder) {
            (Some(encoder), Some(decoder)) => {
                let starts = &batch.sources.starts;
                let count = batch.sources.tokens.len();
                let read = blocks(&Some(Sight::segments(starts)), &every(count), count);
                let cross = Sight::sources(starts, &batch.source_of_token).ok();
                let crossed = blocks(&cross, &batch.rows, count);
                let crossed = blocks(&cross, &every(tokens), count).and(crossed);
                self.run_bytes(encoder, count, &read).max(self.run_bytes(
                    decoder,
                    count.max(tokens),
                    &crossed,
                ))
            }
            _ => 0,
        };
        let rows = batch.rows.len().min(head::step(&self.spec.head));
        // In the network's precision, in float32, capped, and the two terms of the log-sum-exp.
        own + sources + 4 * rows * head::outputs(&self.spec.head) * F32
    }

    /// Bytes that are free on the GPU with the weights; `None`, if they are not on one.
    pub fn free_gpu_memory(&self) -> Option<usize> {
        free(&self.weights.device)
    }

    /// Of one run through a stack.
    fn run_bytes(&self, stack: &StackSpec, tokens: usize, blocks: &Blocks) -> usize {
        let size = self.weights.dtype.size_in_bytes();
        let hidden = self.spec.hidden_size.max(stack.embedding.tokens.inputs);
        let most =
            |of: &dyn Fn(&LayerSpec) -> usize| stack.layers.iter().map(of).max().unwrap_or(0);
        let heads = most(&|layer| layer.attention.heads);
        let width = most(&|layer| layer.attention.heads * layer.attention.head_dim);
        let inner = most(&|layer| inner(&layer.mlp));
        // Stream, norm, result and their sum in the network's precision; the norm's steps in float32.
        let stream = tokens * hidden * (4 * size + 4 * F32);
        // Queries, keys, values before and after their rotation, sums and their blocks; or gate, up, and their product.
        let sublayer = tokens * (8 * width * size).max(inner * (4 * size + F32));
        let biased = stack.layers.first().map(|layer| &layer.attention.positions);
        let biases = match biased {
            Some(PositionsSpec::Relative { .. }) => 2 * heads,
            _ => 0,
        };
        let masks = blocks.pairs * (windows(&stack.layers).len() + biases) * F32;
        // One block's scores: in the network's precision, and step after step in float32.
        let scores = blocks.most_pairs * heads * (size + 4 * F32) + 4 * blocks.keys * width * size;
        stream + sublayer + masks + scores
    }
}

#[cfg(feature = "cuda")]
fn free(device: &Device) -> Option<usize> {
    let stream = device.as_cuda_device().ok()?.cuda_stream();
    let (free, _all) = stream.context().mem_get_info().ok()?;
    Some(free)
}

#[cfg(not(feature = "cuda"))]
fn free(_: &Device) -> Option<usize> {
    None
}

impl Blocks {
    fn new(sight: &Sight, rows: &[usize], keys: usize) -> Self {
        let plans = sight.plans(rows, keys);
        let pairs = || plans.iter().map(|plan| plan.queries.len() * plan.keys.len());
        Blocks {
            pairs: pairs().sum(),
            most_pairs: pairs().max().unwrap_or(0),
            keys: plans.iter().map(|plan| plan.keys.len()).max().unwrap_or(0),
        }
    }

    /// Both lists are there, one block at a time is computed.
    fn and(self, other: Blocks) -> Blocks {
        Blocks {
            pairs: self.pairs + other.pairs,
            most_pairs: self.most_pairs.max(other.most_pairs),
            keys: self.keys.max(other.keys),
        }
    }
}

/// Width inside a feed-forward network.
fn inner(mlp: &MlpSpec) -> usize {
    let of = |gated: &GatedSpec| gated.up.weight.outputs;
    match mlp {
        MlpSpec::Plain { up, .. } => up.weight.outputs,
        MlpSpec::Gated(gated) => of(gated),
        MlpSpec::Experts { experts, .. } => experts.iter().map(of).max().unwrap_or(0),
    }
}
