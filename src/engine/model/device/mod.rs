//! Any network of a [`NetworkSpec`] on any of candle's devices, in float32 or a half precision.
//!
//! Second executor beside [`super::Network`]: it walks the spec and calls candle's tensor operations, of which only those
//! are used that candle has for CUDA too. Matrices and activations are in the network's precision; norms, scores, softmax
//! and log-probabilities in float32, as in transformers. A batch stays packed; attention runs block by block (`sight`).

mod attention;
mod head;
mod memory;
mod mlp;
mod open;
mod operations;
mod sight;
mod stack;
mod surroundings;
mod weights;

use candle_core::{DType, Device, Result, Tensor, bail};

pub use open::{DeviceError, open};
use sight::Sight;
use surroundings::Text;
use weights::Weights;

use super::batch::{Batch, Segments};
use super::spec::{NetworkSpec, StackSpec};

/// A network whose weights are in a device's memory, ready to score.
pub struct DeviceNetwork {
    spec: NetworkSpec,
    weights: Weights,
}

impl DeviceNetwork {
    /// Allocates the weights, all zero; [`Self::write`] fills them. `dtype`: f32, or bf16 or f16 for matrices and
    /// activations; candle's CPU device cannot multiply bf16.
    ///
    /// # Errors
    /// candle's.
    pub fn new(spec: &NetworkSpec, device: &Device, dtype: DType) -> Result<Self> {
        if !matches!(dtype, DType::F32 | DType::BF16 | DType::F16) {
            bail!("a network's precision is f32, bf16 or f16, not {}", dtype.as_str());
        }
        Ok(DeviceNetwork { spec: spec.clone(), weights: Weights::new(spec, device, dtype)? })
    }

    /// What the network was built from.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Names and shapes of the checkpoint's tensors that the network has, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.weights.shapes()
    }

    /// Copies a tensor of the checkpoint, row-major, into the network's memory. Different tensors may be written by
    /// different threads at once. `false`: the network has no tensor of that name.
    ///
    /// # Errors
    /// The number of values is not that of the tensor's shape; candle's.
    pub fn write(&self, tensor: &str, values: &[f32]) -> Result<bool> {
        self.weights.write(tensor, values)
    }

    /// Memory of the weights.
    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Log-probability, in nats, of each of the batch's predictions, in their order. The batch must be whole: packed
    /// without a prefix.
    ///
    /// # Errors
    /// A token or a position that the network does not have; candle's, of which a device without memory is the likeliest.
    pub fn score(&self, batch: &Batch) -> Result<Vec<f32>> {
        if batch.predictions.is_empty() {
            return Ok(Vec::new());
        }
        let outputs = head::outputs(&self.spec.head);
        if let Some(asked) = batch.predictions.iter().find(|p| p.token as usize >= outputs) {
            bail!("token {} is asked for, the head has {outputs}", asked.token);
        }
        let hidden = self.hidden(batch)?;
        head::predict(&self.weights, &self.spec.head, &hidden, &batch.predictions)
    }

    /// Log-probabilities of all labels for each text; of a network with a classifier.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn classify(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        self.distributions(&Batch::texts(texts))
    }

    /// Log-probabilities of the whole vocabulary in each of the batch's rows; for few rows.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn distributions(&self, batch: &Batch) -> Result<Vec<Vec<f32>>> {
        if batch.rows.is_empty() {
            return Ok(Vec::new());
        }
        let logits = head::logits(&self.weights, &self.spec.head, &self.hidden(batch)?)?;
        candle_nn::ops::log_softmax(&logits, 1)?.to_vec2()
    }

    /// States of the batch's rows behind the last layer, `[rows, hidden]`.
    fn hidden(&self, batch: &Batch) -> Result<Tensor> {
        let Some(stack) = self.spec.decoder.as_ref().or(self.spec.encoder.as_ref()) else {
            bail!("a network needs an encoder or a decoder");
        };
        let encoded = self.encode(&batch.sources)?;
        let sources = match &encoded {
            Some(states) => {
                Some((Sight::sources(&batch.sources.starts, &batch.source_of_token)?, states))
            }
            None => None,
        };
        let sight = match batch.starts.is_empty() {
            true => Sight::tree(&batch.positions)?,
            false => Sight::segments(&batch.starts),
        };
        let text = Text { tokens: &batch.tokens, positions: &batch.positions, sight, sources };
        check(stack, &text)?;
        if let Some(row) = batch.rows.iter().find(|row| **row >= batch.tokens.len()) {
            bail!(
                "token {row} is asked about, the batch has {}; is a text empty?",
                batch.tokens.len()
            );
        }
        stack::run(&self.weights, stack, &text, &batch.rows)
    }

    /// The encoder's output, `[source tokens, hidden]`; `None` for a network without an encoder before its decoder.
    fn encode(&self, sources: &Segments) -> Result<Option<Tensor>> {
        let (Some(encoder), Some(_)) = (&self.spec.encoder, &self.spec.decoder) else {
            return Ok(None);
        };
        if sources.tokens.is_empty() {
            bail!("an encoder needs something to read");
        }
        let (positions, sight) = (sources.positions(), Sight::segments(&sources.starts));
        let text = Text { tokens: &sources.tokens, positions: &positions, sight, sources: None };
        check(encoder, &text)?;
        let every: Vec<usize> = (0..sources.tokens.len()).collect();
        stack::run(&self.weights, encoder, &text, &every).map(Some)
    }
}

/// A GPU does not notice an index behind a table's end.
fn check(stack: &StackSpec, text: &Text) -> Result<()> {
    let embedding = &stack.embedding;
    let known = embedding.tokens.outputs;
    if let Some(token) = text.tokens.iter().find(|token| **token as usize >= known) {
        bail!("token {token} is not in the vocabulary of {known}");
    }
    let longest = embedding.positions.as_ref().map(|(table, offset)| table.outputs - offset);
    match (longest, text.positions.iter().max()) {
        (Some(longest), Some(&last)) if last >= longest => {
            bail!("a text has {} tokens, the network reads {longest}", last + 1)
        }
        _ => Ok(()),
    }
}
