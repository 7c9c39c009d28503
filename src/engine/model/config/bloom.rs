//! Bloom: ALiBi, a norm after the embedding, query, key and value of each head stored together.

use serde_json::json;

use super::fields::{Fields, unsupported};
use super::tensors::{Heads, layer_norm, linear, refuse_classifier};
use super::{ConfigError, Has, Names};
use crate::model::spec::{
    Activation, AttentionSpec, EmbeddingSpec, HeadSpec, LayerSpec, LinearSpec, MatrixSpec, MlpSpec,
    NetworkSpec, Placement, PositionsSpec, Reading, SpecialTokens, StackSpec, SublayerNorm,
    VectorSpec,
};

const LAYERS: [&str; 2] = ["n_layer", "num_hidden_layers"];
const HEADS: [&str; 2] = ["n_head", "num_attention_heads"];

struct Bloom {
    names: Names,
    width: usize,
    heads: Heads,
    slopes: Vec<f32>,
    epsilon: f32,
    residual_after_norm: bool,
}

/// Reads the config of a Bloom.
pub(super) fn read(fields: &Fields, has: Has) -> Result<NetworkSpec, ConfigError> {
    refuse_slices(fields)?;
    refuse_classifier(has, "score.weight")?;
    let model = Bloom::read(fields, has)?;
    let vocab_size = fields.count_or("vocab_size", 250_880)?;
    let layers = fields.part_count_of(&LAYERS, 2)?;
    let embedding = model.names.of("word_embeddings.weight");
    let (tokens, output) =
        super::language_model(embedding, [vocab_size, model.width], true, fields, has)?;
    let decoder = StackSpec {
        embedding: EmbeddingSpec {
            tokens,
            scale: 1.0,
            positions: None,
            token_type: None,
            norm: Some(model.norm(&model.names.of("word_embeddings_layernorm"))),
            projection: None,
        },
        layers: (0..layers).map(|layer| model.layer(layer)).collect(),
        norm: Some(model.norm(&model.names.of("ln_f"))),
    };
    Ok(NetworkSpec {
        family: "bloom".to_owned(),
        reading: Reading::Causal,
        vocab_size,
        hidden_size: model.width,
        longest: None,
        encoder: None,
        decoder: Some(decoder),
        head: HeadSpec::LanguageModel {
            transform: None,
            scale: 1.0,
            output: LinearSpec { weight: output, bias: None },
            softcap: None,
        },
        tokens: fields.special_tokens_or(SpecialTokens {
            bos: Some(1),
            eos: vec![2],
            ..SpecialTokens::default()
        })?,
        settings: fields.settings(),
    })
}

/// Sums over slices: transformers leaves the biases out there.
fn refuse_slices(fields: &Fields) -> Result<(), ConfigError> {
    let slices = fields.count_or("pretraining_tp", 1)?;
    if slices > 1 && fields.flag("slow_but_exact", false)? {
        let supported = format!("false where pretraining_tp = {slices} is more than 1");
        return Err(unsupported("slow_but_exact", &json!(true), supported));
    }
    Ok(())
}

impl Bloom {
    fn read(fields: &Fields, has: Has) -> Result<Self, ConfigError> {
        let width = fields.count_of(&["hidden_size", "n_embed"], 64)?;
        let heads = Heads::read(fields, &HEADS, 8, width)?;
        Ok(Bloom {
            names: Names::with_prefix(has, "transformer.", "word_embeddings_layernorm.weight"),
            width,
            heads,
            slopes: alibi_slopes(heads.count),
            epsilon: fields.number_or("layer_norm_epsilon", 1e-5)? as f32,
            residual_after_norm: fields.flag("apply_residual_connection_post_layernorm", false)?,
        })
    }

    fn norm(&self, name: &str) -> crate::model::spec::NormSpec {
        layer_norm(name, self.width, self.epsilon)
    }

    fn layer(&self, layer: usize) -> LayerSpec {
        let at = |part: &str| self.names.of(&format!("h.{layer}.{part}"));
        let norm = |part| match self.residual_after_norm {
            true => SublayerNorm::BeforeBoth(self.norm(&at(part))),
            false => SublayerNorm::Before(self.norm(&at(part))),
        };
        LayerSpec {
            attention: self.attention(&at),
            attention_norm: norm("input_layernorm"),
            cross: None,
            mlp: MlpSpec::Plain {
                up: linear(&at("mlp.dense_h_to_4h"), 4 * self.width, self.width, true),
                down: linear(&at("mlp.dense_4h_to_h"), self.width, 4 * self.width, true),
                activation: Activation::GeluTanh,
            },
            mlp_norm: norm("post_attention_layernorm"),
        }
    }

    fn attention(&self, at: &impl Fn(&str) -> String) -> AttentionSpec {
        let part = |part| self.query_key_value(&at("self_attention.query_key_value"), part);
        let output = linear(&at("self_attention.dense"), self.width, self.width, true);
        let attention = self.heads.attention([part(0), part(1), part(2), output]);
        AttentionSpec {
            positions: PositionsSpec::Alibi { slopes: self.slopes.clone() },
            ..attention
        }
    }

    fn query_key_value(&self, name: &str, part: usize) -> LinearSpec {
        let placement = Placement::Interleaved { part, parts: 3, head_dim: self.heads.dim };
        LinearSpec {
            weight: MatrixSpec {
                shape: vec![3 * self.width, self.width],
                placement,
                ..MatrixSpec::whole(format!("{name}.weight"), self.width, self.width)
            },
            bias: Some(VectorSpec {
                shape: vec![3 * self.width],
                placement,
                ..VectorSpec::whole(format!("{name}.bias"), self.width)
            }),
        }
    }
}

/// `2^(-8i / n)` for `n` a power of two; else those of the next lower power and then every other one of the next higher
/// (Press et al. 2022, footnote 2 on the number of heads).
pub(super) fn alibi_slopes(heads: usize) -> Vec<f32> {
    let lower = match heads.is_power_of_two() {
        true => heads,
        false => heads.next_power_of_two() / 2,
    };
    let slope = |of: usize, i: usize| (-8.0 * i as f64 / of as f64).exp2() as f32;
    let even = (1..=lower).map(|i| slope(lower, i));
    let odd = (0..heads - lower).map(|i| slope(2 * lower, 2 * i + 1));
    even.chain(odd).collect()
}
