//! A Llama decoder that can be trained: parameter names, shapes and conventions are those of
//! transformers' `LlamaForCausalLM` (RMSNorm, rotate-half RoPE, SwiGLU, no biases, tied
//! embeddings).

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{D, Result, Tensor};

use crate::attention::{Attention, Places};
use crate::fused::{LogSoftmax, RmsNorm, SwiGlu};

/// Field names as in Hugging Face's `config.json`.
#[derive(Clone, Debug)]
pub struct Config {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub rms_norm_eps: f64,
    pub rope_theta: f64,
}

impl Config {
    pub fn quickstart(vocab_size: usize) -> Self {
        Self {
            vocab_size,
            hidden_size: 80,
            intermediate_size: 176,
            num_hidden_layers: 5,
            num_attention_heads: 5,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
        }
    }

    /// Positions `positions` \[rows × time\]; see [`Places::new`].
    pub fn places(
        &self,
        rows: usize,
        positions: &[u32],
        visible: impl Fn(usize, usize, usize) -> bool,
    ) -> Arc<Places> {
        Arc::new(Places::new(rows, positions, self.head_dim(), self.rope_theta, visible))
    }

    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Name and shape of every parameter; weights are \[out, in\].
    pub fn parameters(&self) -> BTreeMap<String, Vec<usize>> {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let mut shapes = BTreeMap::from([
            ("model.embed_tokens.weight".to_string(), vec![self.vocab_size, hidden]),
            ("model.norm.weight".to_string(), vec![hidden]),
        ]);
        for layer in 0..self.num_hidden_layers {
            let mut add = |name: &str, shape: &[usize]| {
                shapes.insert(format!("model.layers.{layer}.{name}.weight"), shape.to_vec());
            };
            for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
                add(&format!("self_attn.{name}"), &[hidden, hidden]);
            }
            add("mlp.gate_proj", &[inner, hidden]);
            add("mlp.up_proj", &[inner, hidden]);
            add("mlp.down_proj", &[hidden, inner]);
            add("input_layernorm", &[hidden]);
            add("post_attention_layernorm", &[hidden]);
        }
        shapes
    }
}

struct SelfAttention {
    q_proj: Tensor,
    k_proj: Tensor,
    v_proj: Tensor,
    o_proj: Tensor,
    heads: usize,
}

impl SelfAttention {
    /// `x` \[batch, time, hidden\]
    fn forward(&self, x: &Tensor, places: &Arc<Places>) -> Result<Tensor> {
        let [q, k, v] = [&self.q_proj, &self.k_proj, &self.v_proj].map(|weight| linear(x, weight));
        let head_dim = x.dim(D::Minus1)? / self.heads;
        let attention = Attention { places: places.clone(), heads: self.heads, head_dim };
        linear(&q?.apply_op3(&k?, &v?, attention)?, &self.o_proj)
    }
}

/// `x` \[…, in\] times the transpose of `weight` \[out, in\].
fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let columns = shape.pop().unwrap_or(1);
    shape.push(weight.dim(0)?);
    x.reshape(((), columns))?.matmul(&weight.t()?)?.reshape(shape)
}

struct Mlp {
    gate_proj: Tensor,
    up_proj: Tensor,
    down_proj: Tensor,
}

impl Mlp {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (gate, up) = (linear(x, &self.gate_proj)?, linear(x, &self.up_proj)?);
        linear(&gate.apply_op2(&up, SwiGlu)?, &self.down_proj)
    }
}

struct Norm {
    weight: Tensor,
    eps: f64,
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op2(&self.weight, RmsNorm { eps: self.eps })
    }
}

struct Layer {
    input_layernorm: Norm,
    self_attn: SelfAttention,
    post_attention_layernorm: Norm,
    mlp: Mlp,
}

impl Layer {
    fn forward(&self, x: &Tensor, places: &Arc<Places>) -> Result<Tensor> {
        let x = (x + self.self_attn.forward(&self.input_layernorm.forward(x)?, places)?)?;
        &x + self.mlp.forward(&self.post_attention_layernorm.forward(&x)?)?
    }
}

pub struct Llama {
    embed_tokens: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
}

impl Llama {
    /// The tensors are shared, not copied: a model of variables can be trained.
    pub fn new(config: &Config, tensors: &BTreeMap<String, Tensor>) -> Result<Self> {
        let get = |name: String| match tensors.get(&name) {
            Some(tensor) => Ok(tensor.clone()),
            None => candle_core::bail!("no tensor {name}"),
        };
        let norm = |name: String| -> Result<Norm> {
            Ok(Norm { weight: get(name)?, eps: config.rms_norm_eps })
        };
        let layer = |i: usize| {
            let part = |name: &str| get(format!("model.layers.{i}.{name}.weight"));
            Ok(Layer {
                input_layernorm: norm(format!("model.layers.{i}.input_layernorm.weight"))?,
                self_attn: SelfAttention {
                    q_proj: part("self_attn.q_proj")?,
                    k_proj: part("self_attn.k_proj")?,
                    v_proj: part("self_attn.v_proj")?,
                    o_proj: part("self_attn.o_proj")?,
                    heads: config.num_attention_heads,
                },
                post_attention_layernorm: norm(format!(
                    "model.layers.{i}.post_attention_layernorm.weight"
                ))?,
                mlp: Mlp {
                    gate_proj: part("mlp.gate_proj")?,
                    up_proj: part("mlp.up_proj")?,
                    down_proj: part("mlp.down_proj")?,
                },
            })
        };
        Ok(Self {
            embed_tokens: get("model.embed_tokens.weight".into())?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            norm: norm("model.norm.weight".into())?,
        })
    }

    /// Log-probabilities \[rows, vocab\] after the tokens `rows` (indices into batch × time) of
    /// `ids` \[batch, time\].
    pub fn log_probs(&self, ids: &Tensor, places: &Arc<Places>, rows: &Tensor) -> Result<Tensor> {
        let (batch, time) = ids.dims2()?;
        let mut x =
            self.embed_tokens.index_select(&ids.flatten_all()?, 0)?.reshape((batch, time, ()))?;
        for layer in &self.layers {
            x = layer.forward(&x, places)?;
        }
        let x = self.norm.forward(&x.flatten_to(1)?.index_select(rows, 0)?)?;
        let logits = linear(&x, &self.embed_tokens)?;
        logits.apply_op1(LogSoftmax)
    }
}
