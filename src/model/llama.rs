//! Llama (Touvron et al. 2023) and what computes the same numbers: attention → MLP → layer → model.
//!
//! Weights are kept as checkpoints store them, `[out, in]`; query, key and value and gate and up are joined so that each
//! layer is four matrix products. The last layer computes queries and MLP only where something is predicted.

use std::collections::BTreeMap;

use candle_core::{CpuStorage, Device, Error, InplaceOp1, Layout, Result, Tensor};

use super::config::LlamaConfig;
use super::forest::{Prediction, TokenForest};
use super::layers::{
    Buffer, Linear, RmsNorm, Rotary, SwiGlu, TreeAttention, contiguous_mut, log_likelihoods,
};

/// Why a model could not be built from tensors.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The checkpoint has no such tensor.
    #[error("tensor `{name}` is missing")]
    Missing {
        /// Name in the checkpoint.
        name: String,
    },
    /// The tensor does not fit the config.
    #[error("tensor `{name}` has shape {got:?}; config.json asks for {expected:?}")]
    Shape {
        /// Name in the checkpoint.
        name: String,
        /// By the config.
        expected: Vec<usize>,
        /// As found.
        got: Vec<usize>,
    },
    /// The tensor cannot be read or made; whoever fills it knows why.
    #[error("tensor `{name}` cannot be made")]
    Fill {
        /// Name in the checkpoint.
        name: String,
    },
    /// candle could not build the tensor.
    #[error("building the model")]
    Candle(#[from] Error),
}

/// Activations of a batch. Reuse one for all batches that a thread scores.
pub struct Scratch {
    normed: Buffer,
    joined: Buffer,
    queries: Buffer,
    attended: Buffer,
    gate_up: Buffer,
    gated: Buffer,
    logits: Buffer,
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
            logits: Buffer::new()?,
        })
    }
}

/// What every layer needs to know of the batch.
struct Batch<'a> {
    forest: &'a TokenForest,
    rotary: Rotary,
    /// `[predicted rows]`, u32.
    rows: Tensor,
    every_token: Vec<usize>,
}

/// Self-attention with grouped queries.
struct Attention {
    query_key_value: Linear,
    output: Linear,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Attention {
    /// Adds to `x`, `[tokens, hidden]`, what attention makes of `normed`, the same shape.
    fn add_into(
        &self,
        x: &Tensor,
        normed: &Tensor,
        batch: &Batch,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (width, kv_width) = self.widths();
        let joined = scratch.joined.matrix(normed.dim(0)?, width + kv_width)?;
        self.query_key_value.forward_into(&joined, normed)?;
        let (queries, keys_values) =
            (joined.narrow(1, 0, width)?, joined.narrow(1, width, kv_width)?);
        self.attend(x, &queries, &keys_values, &batch.every_token, batch, scratch)
    }

    /// The same with queries at the predicted rows only; `x`: `[predicted rows, hidden]`, `normed`: `[tokens, hidden]`.
    fn add_into_rows(
        &self,
        x: &Tensor,
        normed: &Tensor,
        batch: &Batch,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (width, kv_width) = self.widths();
        let keys_values = scratch.joined.matrix(normed.dim(0)?, kv_width)?;
        self.query_key_value.outputs(width, kv_width)?.forward_into(&keys_values, normed)?;
        let queries = scratch.queries.matrix(batch.forest.rows.len(), width)?;
        let normed = normed.index_select(&batch.rows, 0)?;
        self.query_key_value.outputs(0, width)?.forward_into(&queries, &normed)?;
        self.attend(x, &queries, &keys_values, &batch.forest.rows, batch, scratch)
    }

    fn attend(
        &self,
        x: &Tensor,
        queries: &Tensor,
        keys_values: &Tensor,
        rows: &[usize],
        batch: &Batch,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let attention = TreeAttention {
            depths: &batch.forest.depths,
            rows,
            rotary: &batch.rotary,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
        };
        let attended = scratch.attended.matrix(rows.len(), self.widths().0)?;
        attended.inplace_op3(queries, keys_values, &attention)?;
        self.output.add_into(x, &attended)
    }

    /// Of the queries, and of keys and values together.
    fn widths(&self) -> (usize, usize) {
        (self.heads * self.head_dim, 2 * self.kv_heads * self.head_dim)
    }
}

/// Gated feed-forward network.
struct Mlp {
    gate_up: Linear,
    down: Linear,
    intermediate: usize,
}

impl Mlp {
    /// Adds to `x`, `[rows, hidden]`, what the network makes of `normed`, the same shape.
    fn add_into(&self, x: &Tensor, normed: &Tensor, scratch: &mut Scratch) -> Result<()> {
        let rows = normed.dim(0)?;
        let gate_up = scratch.gate_up.matrix(rows, 2 * self.intermediate)?;
        let gated = scratch.gated.matrix(rows, self.intermediate)?;
        self.gate_up.forward_into(&gate_up, normed)?;
        gated.inplace_op2(&gate_up, &SwiGlu)?;
        self.down.add_into(x, &gated)
    }
}

struct Layer {
    input_norm: RmsNorm,
    attention: Attention,
    post_attention_norm: RmsNorm,
    mlp: Mlp,
}

impl Layer {
    /// Changes `x`, `[tokens, hidden]`, in place.
    fn forward(&self, x: &Tensor, batch: &Batch, scratch: &mut Scratch) -> Result<()> {
        let normed = scratch.normed.matrix(x.dim(0)?, x.dim(1)?)?;
        self.input_norm.forward_into(&normed, x)?;
        self.attention.add_into(x, &normed, batch, scratch)?;
        self.post_attention_norm.forward_into(&normed, x)?;
        self.mlp.add_into(x, &normed, scratch)
    }

    /// `x`: `[tokens, hidden]` to `[predicted rows, hidden]`.
    fn forward_to_rows(&self, x: &Tensor, batch: &Batch, scratch: &mut Scratch) -> Result<Tensor> {
        let normed = scratch.normed.matrix(x.dim(0)?, x.dim(1)?)?;
        self.input_norm.forward_into(&normed, x)?;
        let x = x.index_select(&batch.rows, 0)?;
        self.attention.add_into_rows(&x, &normed, batch, scratch)?;
        let normed = scratch.normed.matrix(x.dim(0)?, x.dim(1)?)?;
        self.post_attention_norm.forward_into(&normed, &x)?;
        self.mlp.add_into(&x, &normed, scratch)?;
        Ok(x)
    }
}

/// A decoder whose weights are in memory, ready to score.
pub struct Llama {
    config: LlamaConfig,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    /// The model's memory under the checkpoint's names.
    places: BTreeMap<String, Tensor>,
}

/// Lets a function write a contiguous tensor.
struct Overwrite<F>(F);

impl<F: Fn(&mut [f32])> InplaceOp1 for Overwrite<F> {
    fn name(&self) -> &'static str {
        "overwrite"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        (self.0)(contiguous_mut(storage, layout)?);
        Ok(())
    }
}

impl Llama {
    /// Builds the model; `fill` writes a checkpoint's tensor, by name and shape, to where the model wants it, in f32 and
    /// row-major order. Each name is asked for once.
    ///
    /// # Errors
    /// What `fill` returns; candle's.
    pub fn new(
        config: &LlamaConfig,
        fill: impl FnMut(&str, &[usize], &mut [f32]) -> std::result::Result<(), LoadError>,
    ) -> std::result::Result<Self, LoadError> {
        let mut weights = Weights { config, fill, places: BTreeMap::new() };
        let embedding =
            weights.matrix("model.embed_tokens.weight", config.vocab_size, config.hidden_size)?;
        let layers = (0..config.num_hidden_layers)
            .map(|layer| weights.layer(layer))
            .collect::<std::result::Result<_, _>>()?;
        let norm = weights.norm("model.norm.weight".into())?;
        let head = match config.tie_word_embeddings {
            true => embedding.clone(),
            false => weights.matrix("lm_head.weight", config.vocab_size, config.hidden_size)?,
        };
        let (config, places) = (config.clone(), weights.places);
        Ok(Llama { config, embedding, layers, norm, head: Linear(head), places })
    }

    /// Writes a tensor of the checkpoint anew, in place. `false`: the model has no tensor of that name.
    ///
    /// # Errors
    /// candle's.
    pub fn rewrite(&mut self, name: &str, fill: impl Fn(&mut [f32])) -> Result<bool> {
        let Some(place) = self.places.get(name) else {
            return Ok(false);
        };
        place.inplace_op1(&Overwrite(fill)).map(|()| true)
    }

    /// The shape the model was built with.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Log-probability, in nats, of each of the forest's predictions, in their order. Runs on the calling thread.
    ///
    /// Errors are candle's, and none is expected as long as all tokens are below `vocab_size`.
    pub fn log_probabilities(
        &self,
        forest: &TokenForest,
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>> {
        let hidden = self.hidden_at_rows(forest, scratch)?;
        let mut order: Vec<usize> = (0..forest.predictions.len()).collect();
        order.sort_by_key(|&i| forest.predictions[i].row);
        let asked: Vec<Prediction> = order.iter().map(|&i| forest.predictions[i]).collect();
        let mut scores = vec![0f32; asked.len()];
        for (place, score) in order.into_iter().zip(self.predict(&hidden, &asked, scratch)?) {
            scores[place] = score;
        }
        Ok(scores)
    }

    /// Output of the last layer, normalised, `[predicted rows, hidden]`.
    fn hidden_at_rows(&self, forest: &TokenForest, scratch: &mut Scratch) -> Result<Tensor> {
        let batch = Batch {
            forest,
            rotary: Rotary::new(self.config.rope_theta, self.config.head_dim, forest.height()),
            rows: Tensor::from_iter(forest.rows.iter().map(|&row| row as u32), &Device::Cpu)?,
            every_token: (0..forest.tokens.len()).collect(),
        };
        let tokens = Tensor::new(forest.tokens.as_slice(), &Device::Cpu)?;
        let x = self.embedding.index_select(&tokens, 0)?;
        let Some((last, others)) = self.layers.split_last() else {
            candle_core::bail!("a decoder needs at least one layer");
        };
        for layer in others {
            layer.forward(&x, &batch, scratch)?;
        }
        let x = last.forward_to_rows(&x, &batch, scratch)?;
        let normed = scratch.normed.matrix(forest.rows.len(), self.config.hidden_size)?;
        self.norm.forward_into(&normed, &x)?;
        Ok(normed)
    }

    /// Head and log-softmax, some rows at a time so that the logits stay small. `asked` is sorted by row.
    fn predict(
        &self,
        hidden: &Tensor,
        mut asked: &[Prediction],
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>> {
        const LOGITS: usize = 1 << 18;
        const FEWEST_ROWS: usize = 64;
        let rows = hidden.dim(0)?;
        let step = (LOGITS / self.config.vocab_size).max(FEWEST_ROWS);
        let mut scores = Vec::with_capacity(asked.len());
        for first in (0..rows).step_by(step) {
            let count = step.min(rows - first);
            let logits = scratch.logits.matrix(count, self.config.vocab_size)?;
            self.head.forward_into(&logits, &hidden.narrow(0, first, count)?)?;
            let (now, later) = asked.split_at(asked.partition_point(|p| p.row < first + count));
            scores.extend(log_likelihoods(&logits, first, now)?);
            asked = later;
        }
        Ok(scores)
    }
}

/// The checkpoint's tensors under their Hugging Face names.
struct Weights<'a, F> {
    config: &'a LlamaConfig,
    fill: F,
    places: BTreeMap<String, Tensor>,
}

impl<F: FnMut(&str, &[usize], &mut [f32]) -> std::result::Result<(), LoadError>> Weights<'_, F> {
    fn matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> std::result::Result<Tensor, LoadError> {
        Ok(self.joined(&[(name.to_owned(), rows)], columns)?.0)
    }

    /// Matrices over the same input, one below the other.
    fn joined(
        &mut self,
        parts: &[(String, usize)],
        columns: usize,
    ) -> std::result::Result<Linear, LoadError> {
        let rows = parts.iter().map(|(_, rows)| rows).sum::<usize>();
        let mut values = vec![0.0; rows * columns];
        let mut rest = values.as_mut_slice();
        for (name, rows) in parts {
            let (part, after) = rest.split_at_mut(rows * columns);
            (self.fill)(name, &[*rows, columns], part)?;
            rest = after;
        }
        let joined = Tensor::from_vec(values, (rows, columns), &Device::Cpu)?;
        let mut first = 0;
        for (name, rows) in parts {
            self.places.insert(name.clone(), joined.narrow(0, first, *rows)?);
            first += rows;
        }
        Ok(Linear(joined))
    }

    fn norm(&mut self, name: String) -> std::result::Result<RmsNorm, LoadError> {
        let width = self.config.hidden_size;
        let mut values = vec![0.0; width];
        (self.fill)(&name, &[width], &mut values)?;
        let weight = Tensor::from_vec(values, width, &Device::Cpu)?;
        self.places.insert(name, weight.clone());
        Ok(RmsNorm { weight, epsilon: self.config.rms_norm_eps as f32 })
    }

    fn layer(&mut self, layer: usize) -> std::result::Result<Layer, LoadError> {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        Ok(Layer {
            input_norm: self.norm(name("input_layernorm"))?,
            attention: self.attention(&name)?,
            post_attention_norm: self.norm(name("post_attention_layernorm"))?,
            mlp: self.mlp(&name)?,
        })
    }

    fn attention(
        &mut self,
        name: &impl Fn(&str) -> String,
    ) -> std::result::Result<Attention, LoadError> {
        let LlamaConfig {
            hidden_size,
            head_dim,
            num_attention_heads: heads,
            num_key_value_heads: kv_heads,
            ..
        } = *self.config;
        let parts = [
            (name("self_attn.q_proj"), heads * head_dim),
            (name("self_attn.k_proj"), kv_heads * head_dim),
            (name("self_attn.v_proj"), kv_heads * head_dim),
        ];
        let query_key_value = self.joined(&parts, hidden_size)?;
        let output =
            Linear(self.matrix(&name("self_attn.o_proj"), hidden_size, heads * head_dim)?);
        Ok(Attention { query_key_value, output, heads, kv_heads, head_dim })
    }

    fn mlp(&mut self, name: &impl Fn(&str) -> String) -> std::result::Result<Mlp, LoadError> {
        let LlamaConfig { hidden_size, intermediate_size, .. } = *self.config;
        let parts =
            [(name("mlp.gate_proj"), intermediate_size), (name("mlp.up_proj"), intermediate_size)];
        let gate_up = self.joined(&parts, hidden_size)?;
        Ok(Mlp {
            gate_up,
            down: Linear(self.matrix(&name("mlp.down_proj"), hidden_size, intermediate_size)?),
            intermediate: intermediate_size,
        })
    }
}
