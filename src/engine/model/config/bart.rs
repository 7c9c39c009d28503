//! BART: encoder and decoder with the norm after each sublayer and learned positions that start at row 2.

use serde_json::{Value, json};

use super::fields::Fields;
use super::tensors::{Heads, layer_norm, linear, refuse_classifier, tied_or_own};
use super::{ConfigError, Has, Names};
use crate::model::spec::{
    Activation, AttentionSpec, EmbeddingSpec, HeadSpec, LayerSpec, LinearSpec, MatrixSpec, MlpSpec,
    NetworkSpec, NormSpec, Placement, Reading, SpecialTokens, StackSpec, SublayerNorm, VectorSpec,
};

const WIDTH: [&str; 2] = ["d_model", "hidden_size"];
const HEAD: &str = "lm_head.weight";
const LOGITS_BIAS: &str = "final_logits_bias";
/// Rows before the first position, kept from fairseq's padding index.
const POSITION_OFFSET: usize = 2;
/// `nn.LayerNorm`'s; no field of the config sets it.
const EPSILON: f32 = 1e-5;

/// Fields of mBART and fairseq that transformers' BART does not read, with the values for which that is right.
fn ignored_fields() -> [(&'static str, Value); 6] {
    [
        ("normalize_before", json!(false)),
        ("add_final_layer_norm", json!(false)),
        ("normalize_embedding", json!(true)),
        ("add_bias_logits", json!(false)),
        ("static_position_embeddings", json!(false)),
        ("extra_pos_embeddings", json!(POSITION_OFFSET)),
    ]
}

/// Encoder or decoder.
struct Side {
    /// Of its tensors: `encoder` or `decoder`.
    prefix: String,
    decodes: bool,
    width: usize,
    longest: usize,
    layers: usize,
    inner: usize,
    heads: Heads,
    activation: Activation,
    scale: f32,
}

/// Reads the config of a BART.
pub(super) fn read(fields: &Fields, has: Has) -> Result<NetworkSpec, ConfigError> {
    fields.only("is_encoder_decoder", &[json!(true)])?;
    for (field, value) in ignored_fields() {
        fields.only(field, &[value])?;
    }
    refuse_classifier(has, "classification_head.dense.weight")?;
    let names = Names::with_prefix(has, "model.", "encoder.layernorm_embedding.weight");
    let encoder = Side::encoder(fields, &names)?;
    let decoder = Side::decoder(fields, &names)?;
    let vocab_size = fields.count_or("vocab_size", 50265)?;
    let shape = [vocab_size, decoder.width];
    let tied = fields.flag("tie_word_embeddings", true)?;
    let stored = |own: String| {
        let others = ["shared", "decoder.embed_tokens", "encoder.embed_tokens"];
        let mut others = others.map(|name| names.of(&format!("{name}.weight"))).to_vec();
        others.push(HEAD.to_owned());
        tied_or_own(own, &others, tied, shape, has)
    };
    let embedding = |side: &Side| stored(format!("{}.embed_tokens.weight", side.prefix));
    Ok(NetworkSpec {
        family: "bart".to_owned(),
        reading: Reading::Seq2Seq,
        vocab_size,
        hidden_size: decoder.width,
        longest: Some(decoder.longest),
        encoder: Some(encoder.stack(embedding(&encoder)?)),
        decoder: Some(decoder.stack(embedding(&decoder)?)),
        head: HeadSpec::LanguageModel {
            transform: None,
            scale: 1.0,
            output: LinearSpec {
                weight: stored(HEAD.to_owned())?,
                bias: has(LOGITS_BIAS).then(|| logits_bias(vocab_size)),
            },
            softcap: None,
        },
        tokens: special_tokens(fields, vocab_size)?,
        settings: fields.settings(),
    })
}

fn logits_bias(vocab_size: usize) -> VectorSpec {
    VectorSpec {
        shape: vec![1, vocab_size],
        placement: Placement::Rows { first: 0 },
        ..VectorSpec::whole(LOGITS_BIAS.to_owned(), vocab_size)
    }
}

fn special_tokens(fields: &Fields, vocab_size: usize) -> Result<SpecialTokens, ConfigError> {
    let defaults =
        SpecialTokens { bos: Some(0), eos: vec![2], pad: Some(1), decoder_start: Some(2) };
    super::require_start(fields, fields.special_tokens_or(defaults)?, vocab_size)
}

impl Side {
    fn encoder(fields: &Fields, names: &Names) -> Result<Self, ConfigError> {
        let width = fields.count_of(&WIDTH, 1024)?;
        let heads = ["encoder_attention_heads", "num_attention_heads"];
        Ok(Side {
            prefix: names.of("encoder"),
            decodes: false,
            layers: fields.part_count_of(&["encoder_layers", "num_hidden_layers"], 12)?,
            inner: fields.count_or("encoder_ffn_dim", 4096)?,
            heads: Heads::read(fields, &heads, 16, width)?,
            width,
            longest: fields.count_or("max_position_embeddings", 1024)?,
            activation: fields.activation("activation_function", "gelu")?,
            scale: match fields.flag("scale_embedding", false)? {
                true => (width as f64).sqrt() as f32,
                false => 1.0,
            },
        })
    }

    fn decoder(fields: &Fields, names: &Names) -> Result<Self, ConfigError> {
        let encoder = Side::encoder(fields, names)?;
        Ok(Side {
            prefix: names.of("decoder"),
            decodes: true,
            layers: fields.part_count_of(&["decoder_layers"], 12)?,
            inner: fields.count_or("decoder_ffn_dim", 4096)?,
            heads: Heads::read(fields, &["decoder_attention_heads"], 16, encoder.width)?,
            ..encoder
        })
    }

    fn stack(&self, tokens: MatrixSpec) -> StackSpec {
        let at = |part| format!("{}.{part}", self.prefix);
        let rows = self.longest + POSITION_OFFSET;
        let positions = MatrixSpec::whole(at("embed_positions.weight"), rows, self.width);
        StackSpec {
            embedding: EmbeddingSpec {
                tokens,
                scale: self.scale,
                positions: Some((positions, POSITION_OFFSET)),
                token_type: None,
                norm: Some(self.norm(&at("layernorm_embedding"))),
                projection: None,
            },
            layers: (0..self.layers).map(|layer| self.layer(layer)).collect(),
            norm: None,
        }
    }

    fn norm(&self, name: &str) -> NormSpec {
        layer_norm(name, self.width, EPSILON)
    }

    fn layer(&self, layer: usize) -> LayerSpec {
        let at = |part: &str| format!("{}.layers.{layer}.{part}", self.prefix);
        let after = |part| SublayerNorm::After(self.norm(&at(part)));
        let cross = || (self.attention(&at("encoder_attn")), after("encoder_attn_layer_norm"));
        LayerSpec {
            attention: self.attention(&at("self_attn")),
            attention_norm: after("self_attn_layer_norm"),
            cross: self.decodes.then(cross),
            mlp: MlpSpec::Plain {
                up: linear(&at("fc1"), self.inner, self.width, true),
                down: linear(&at("fc2"), self.width, self.inner, true),
                activation: self.activation,
            },
            mlp_norm: after("final_layer_norm"),
        }
    }

    fn attention(&self, name: &str) -> AttentionSpec {
        let parts = ["q_proj", "k_proj", "v_proj", "out_proj"];
        let part = |part| linear(&format!("{name}.{part}"), self.width, self.width, true);
        self.heads.attention(parts.map(part))
    }
}
