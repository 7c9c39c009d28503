//! What a batch takes in memory while it is scored.

use super::Network;
use super::stack::Stack;
use crate::model::batch::Batch;
use crate::model::layers::temporaries;

const F32: usize = size_of::<f32>();

impl Network {
    /// Bytes that scoring `batch` holds at most: residual stream, activations, logits. They grow with its tokens.
    pub fn activation_bytes(&self, batch: &Batch) -> usize {
        let rows = batch.rows.len().max(1);
        let (tokens, longest) = (batch.tokens.len(), batch.longest());
        let reader = self.decoder.as_ref().or(self.encoder.as_ref());
        let own = reader.map_or(0, |stack| bytes(stack, tokens, rows, longest));
        let sources = match (&self.encoder, &self.decoder) {
            (Some(encoder), Some(_)) => {
                let tokens = batch.sources.tokens.len();
                bytes(encoder, tokens, 0, longest)
            }
            _ => 0,
        };
        // The head's input and its copies; logits and their row sums.
        let head =
            3 * rows * self.spec.hidden_size + rows.min(self.head.step()) * self.head.outputs();
        own + sources + head * F32
    }
}

/// Of one run through a stack.
fn bytes(stack: &Stack, tokens: usize, rows: usize, longest: usize) -> usize {
    let width = stack.embedding.tokens.inputs();
    let most =
        |of: &dyn Fn(&super::layer::Layer) -> usize| stack.layers.iter().map(of).max().unwrap_or(0);
    let joined = most(&|layer| layer.attention.widths().0 + layer.attention.widths().1);
    let queries = most(&|layer| layer.attention.widths().0);
    let inner = most(&|layer| layer.mlp.widths().0 + layer.mlp.widths().1);
    let hidden = stack.hidden().unwrap_or(width);
    // Residual stream and its norm, one more for what Gemma 2 and mixtures of experts put aside; bf16 inputs of products.
    let per_token = 4 * hidden + joined + queries + inner + (hidden + inner) / 2;
    let attention = most(&|layer| temporaries(layer.attention.shape(), longest));
    let embedding = 2 * tokens * width;
    (tokens * per_token + rows * (queries + 2 * hidden) + embedding) * F32 + attention
}
