//! A network as plain data: which tensors of a checkpoint it has, and what is computed with them in which order.
//!
//! A family's reader in `config` turns `config.json` into a [`NetworkSpec`]; [`super::Network`] executes any of
//! them. What two families have in common is therefore written once.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where the outputs of a matrix `[outputs, inputs]` lie in a tensor of the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Placement {
    /// Stored `[total, inputs]`: output `o` is row `first + o`.
    Rows { first: usize },
    /// Stored `[inputs, total]` (GPT-2's Conv1D): output `o` is column `first + o`.
    Columns { first: usize },
    /// Stored `[heads · parts, head_dim, inputs]` (Bloom's joined query, key and value): part `part` of every head.
    Interleaved { part: usize, parts: usize, head_dim: usize },
}

impl Placement {
    /// Index in the stored tensor of the first element of output `o`; the others follow at [`Self::stride`].
    pub fn first_element(self, output: usize, inputs: usize) -> usize {
        match self {
            Placement::Rows { first } => (first + output) * inputs,
            Placement::Columns { first } => first + output,
            Placement::Interleaved { part, parts, head_dim } => {
                let (head, row) = (output / head_dim, output % head_dim);
                ((head * parts + part) * head_dim + row) * inputs
            }
        }
    }

    /// Distance of neighbouring inputs of one output; `total` is the number of outputs stored together.
    pub fn stride(self, total: usize) -> usize {
        match self {
            Placement::Columns { .. } => total,
            Placement::Rows { .. } | Placement::Interleaved { .. } => 1,
        }
    }
}

/// A weight matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSpec {
    /// Name in the checkpoint.
    pub tensor: String,
    /// Shape in the checkpoint.
    pub shape: Vec<usize>,
    pub outputs: usize,
    pub inputs: usize,
    pub placement: Placement,
}

impl MatrixSpec {
    /// A whole tensor `[outputs, inputs]`.
    pub fn whole(tensor: String, outputs: usize, inputs: usize) -> Self {
        let (shape, placement) = (vec![outputs, inputs], Placement::Rows { first: 0 });
        MatrixSpec { tensor, shape, outputs, inputs, placement }
    }
}

/// A vector: a norm's weight, a bias.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSpec {
    /// Name in the checkpoint.
    pub tensor: String,
    /// Shape in the checkpoint.
    pub shape: Vec<usize>,
    pub length: usize,
    /// As for a matrix with one input.
    pub placement: Placement,
    /// Added to every element (Gemma's norms store `w - 1`).
    pub plus: f32,
}

impl VectorSpec {
    /// A whole tensor `[length]`.
    pub fn whole(tensor: String, length: usize) -> Self {
        let (shape, placement) = (vec![length], Placement::Rows { first: 0 });
        VectorSpec { tensor, shape, length, placement, plus: 0.0 }
    }
}

/// `x Wᵀ + b`.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearSpec {
    pub weight: MatrixSpec,
    pub bias: Option<VectorSpec>,
}

/// How a row is brought to unit size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Divided by its root mean square (Zhang and Sennrich 2019).
    Rms,
    /// Mean taken off, divided by its standard deviation (Ba, Kiros and Hinton 2016).
    Layer,
}

/// A normalisation with weight and, where the family has one, bias.
#[derive(Debug, Clone, PartialEq)]
pub struct NormSpec {
    pub kind: NormKind,
    pub weight: VectorSpec,
    pub bias: Option<VectorSpec>,
    /// ε.
    pub epsilon: f32,
}

/// Elementwise function of an MLP; transformers' names in `config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + e^-x)`.
    Silu,
    /// `x Φ(x)` with the exact normal distribution.
    Gelu,
    /// Its approximation by tanh (Hendrycks and Gimpel 2016).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// Hyperbolic tangent (BERT's pooler).
    Tanh,
}

/// What tells attention where a token stands.
#[derive(Debug, Clone, PartialEq)]
pub enum PositionsSpec {
    /// Nothing: positions were added to the embedding, or there are none.
    Absolute,
    /// Rotation of queries and keys.
    Rotary(RotarySpec),
    /// A slope per head times the distance (Press et al. 2022).
    Alibi { slopes: Vec<f32> },
    /// A learned table `[buckets, heads]` by distance (Raffel et al. 2020).
    Relative { table: MatrixSpec, buckets: usize, max_distance: usize, bidirectional: bool },
}

/// Rotary embedding with whatever scaling the config asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct RotarySpec {
    /// Angle per position of each pair of the head's elements; `head_dim / 2` of them.
    pub inverse_frequencies: Vec<f32>,
    /// Multiplies cosine and sine (YaRN).
    pub factor: f32,
}

/// Self- or cross-attention.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionSpec {
    pub query: LinearSpec,
    pub key: LinearSpec,
    pub value: LinearSpec,
    pub output: LinearSpec,
    /// Norms over each head of queries and keys, before the rotation (Qwen3).
    pub head_norms: Option<(NormSpec, NormSpec)>,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Multiplies the scores.
    pub scale: f32,
    /// `cap · tanh(score / cap)`.
    pub softcap: Option<f32>,
    /// A token sees itself and this many minus one before it.
    pub window: Option<usize>,
    pub positions: PositionsSpec,
}

/// Feed-forward part of a layer.
#[derive(Debug, Clone, PartialEq)]
pub enum MlpSpec {
    /// `down(act(up x))`.
    Plain { up: LinearSpec, down: LinearSpec, activation: Activation },
    /// `down(act(gate x) · up x)`.
    Gated(GatedSpec),
    /// The `top` experts by the router's probabilities, which are normalised over them (Mixtral).
    Experts { router: LinearSpec, experts: Vec<GatedSpec>, top: usize },
}

/// A gated feed-forward network.
#[derive(Debug, Clone, PartialEq)]
pub struct GatedSpec {
    pub gate: LinearSpec,
    pub up: LinearSpec,
    pub down: LinearSpec,
    pub activation: Activation,
}

/// Where the norm of a sublayer stands.
#[derive(Debug, Clone, PartialEq)]
pub enum SublayerNorm {
    /// `x + f(norm(x))`.
    Before(NormSpec),
    /// `norm(x) + f(norm(x))` (Bloom's `apply_residual_connection_post_layernorm`).
    BeforeBoth(NormSpec),
    /// `norm(x + f(x))`.
    After(NormSpec),
    /// `x + after(f(before(x)))` (Gemma 2).
    Around { before: NormSpec, after: NormSpec },
}

/// One layer: attention, attention to the encoder where there is one, MLP.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    pub attention: AttentionSpec,
    pub attention_norm: SublayerNorm,
    pub cross: Option<(AttentionSpec, SublayerNorm)>,
    pub mlp: MlpSpec,
    pub mlp_norm: SublayerNorm,
}

/// Tokens to vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingSpec {
    /// `[vocab, width]`.
    pub tokens: MatrixSpec,
    /// Multiplies the token's vector.
    pub scale: f32,
    /// Learned positions `[longest + offset, width]` and the offset of the first.
    pub positions: Option<(MatrixSpec, usize)>,
    /// The vector of token type 0, added everywhere (BERT).
    pub token_type: Option<VectorSpec>,
    pub norm: Option<NormSpec>,
    /// From the embedding's width to the network's (ALBERT).
    pub projection: Option<LinearSpec>,
}

/// Embedding, layers and what follows the last one.
#[derive(Debug, Clone, PartialEq)]
pub struct StackSpec {
    pub embedding: EmbeddingSpec,
    pub layers: Vec<LayerSpec>,
    pub norm: Option<NormSpec>,
}

/// What is read off the last layer.
#[derive(Debug, Clone, PartialEq)]
pub enum HeadSpec {
    /// Logits over the vocabulary.
    LanguageModel {
        /// Dense layer, activation and norm before the logits (BERT, ALBERT).
        transform: Option<Box<(LinearSpec, Activation, NormSpec)>>,
        /// Multiplies the hidden state (T5).
        scale: f32,
        output: LinearSpec,
        /// As in attention (Gemma 2).
        softcap: Option<f32>,
    },
    /// Logits over labels from the first token's state: `tanh(pooler)`, then `output`.
    Classifier { pooler: LinearSpec, output: LinearSpec },
}

/// How the network reads a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Left to right; a token's log-probability given those before it.
    Causal,
    /// An encoder reads the prompt, a decoder the answer.
    Seq2Seq,
    /// Both sides of a masked token (pseudo-log-likelihood, Salazar et al. 2020).
    Masked,
    /// A label for the whole text.
    Classify,
}

/// Special tokens of `config.json`; the first one where the file has a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpecialTokens {
    pub bos: Option<u32>,
    /// All of them.
    pub eos: Vec<u32>,
    pub pad: Option<u32>,
    pub decoder_start: Option<u32>,
}

/// A whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkSpec {
    /// `model_type` of the config.
    pub family: String,
    pub reading: Reading,
    pub vocab_size: usize,
    pub hidden_size: usize,
    /// Longest sequence in tokens, where there is a limit.
    pub longest: Option<usize>,
    pub encoder: Option<StackSpec>,
    pub decoder: Option<StackSpec>,
    pub head: HeadSpec,
    pub tokens: SpecialTokens,
    /// Every field of the config that was read, with its default where the file has none.
    pub settings: BTreeMap<String, Value>,
}
