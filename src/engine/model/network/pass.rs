//! What one forward pass needs besides the weights.

use candle_core::{Result, Tensor};

use crate::model::layers::{Buffer, Cache, RelativeBias, Rotary};

/// Activations of a batch. Reuse one for all batches that a thread scores.
pub struct Scratch {
    pub(super) normed: Buffer,
    pub(super) joined: Buffer,
    pub(super) queries: Buffer,
    pub(super) attended: Buffer,
    pub(super) gate_up: Buffer,
    pub(super) gated: Buffer,
    pub(super) side: Buffer,
    pub(super) logits: Buffer,
}

impl Scratch {
    /// Takes no memory before the first batch.
    pub fn new() -> Result<Self> {
        Ok(Scratch {
            normed: Buffer::new()?,
            joined: Buffer::new()?,
            queries: Buffer::new()?,
            attended: Buffer::new()?,
            gate_up: Buffer::new()?,
            gated: Buffer::new()?,
            side: Buffer::new()?,
            logits: Buffer::new()?,
        })
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        [
            &self.normed,
            &self.joined,
            &self.queries,
            &self.attended,
            &self.gate_up,
            &self.gated,
            &self.side,
            &self.logits,
        ]
        .map(Buffer::bytes)
        .iter()
        .sum()
    }
}

/// Positions of a stack, as attention needs them: at most one is there.
pub(super) struct Tables {
    pub rotary: Option<Rotary>,
    pub relative: Option<RelativeBias>,
}

/// What a pass may reuse and should keep.
#[derive(Default, Clone, Copy)]
pub struct Pass<'a> {
    /// States of the leading tokens that all sequences share.
    pub prefix: Option<&'a Prefix>,
    /// Begins at a layer whose input is known.
    pub resume: Option<&'a States>,
    /// Keeps the input of this layer.
    pub keep: Option<usize>,
    /// Ends before this layer, with what it reads in place of the network's output.
    pub stop: Option<usize>,
}

/// Keys and values, per layer, of tokens that many sequences begin with.
pub struct Prefix {
    pub(super) caches: Vec<Cache>,
    pub(super) length: usize,
}

impl Prefix {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        self.caches.iter().map(Cache::bytes).sum()
    }
}

/// Input of a layer for all tokens of a batch.
pub struct States {
    /// Which layer reads it.
    pub layer: usize,
    /// `[tokens, hidden]`, f32.
    pub(super) x: Tensor,
}

impl States {
    /// Memory held.
    pub fn bytes(&self) -> usize {
        self.x.elem_count() * 4
    }
}

/// What a pass gives.
pub struct Scored {
    /// In nats, one per prediction of the batch, in their order.
    pub log_probabilities: Vec<f32>,
    /// What was to be kept.
    pub kept: Option<States>,
}
