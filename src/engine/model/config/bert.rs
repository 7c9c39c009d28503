//! BERT: an encoder with the norm after each sublayer, read through its masked language model or its classifier.

use serde_json::json;

use super::encoder::{self, Encoder, Heading};
use super::fields::Fields;
use super::tensors::{Heads, linear};
use super::{ConfigError, Has, Names};
use crate::model::spec::{
    AttentionSpec, LayerSpec, MlpSpec, NetworkSpec, SpecialTokens, StackSpec, SublayerNorm,
};

/// Reads the config of a BERT.
pub(super) fn read(fields: &Fields, has: Has) -> Result<NetworkSpec, ConfigError> {
    fields.only("is_decoder", &[json!(false)])?;
    fields.only("add_cross_attention", &[json!(false)])?;
    let width = fields.count_or("hidden_size", 768)?;
    let model = Encoder {
        names: Names::with_prefix(has, "bert.", "embeddings.word_embeddings.weight"),
        has,
        vocab_size: fields.count_or("vocab_size", 30522)?,
        longest: fields.count_or("max_position_embeddings", 512)?,
        embedding_width: width,
        width,
        inner: fields.count_or("intermediate_size", 3072)?,
        heads: Heads::read(fields, &["num_attention_heads"], 12, width)?,
        activation: fields.activation("hidden_act", "gelu")?,
        epsilon: fields.number_or("layer_norm_eps", 1e-12)? as f32,
    };
    let heading = Heading {
        dense: "cls.predictions.transform.dense",
        norm: "cls.predictions.transform.LayerNorm",
        decoder: "cls.predictions.decoder",
        bias: "cls.predictions.bias",
        pooler: "pooler.dense",
    };
    let layers = fields.part_count_of(&["num_hidden_layers"], 12)?;
    let stack = StackSpec {
        embedding: model.embedding(fields)?,
        layers: (0..layers).map(|index| layer(&model, index)).collect(),
        norm: None,
    };
    let tokens = SpecialTokens { pad: Some(0), ..SpecialTokens::default() };
    encoder::network("bert", fields, &model, &heading, stack, tokens)
}

fn layer(model: &Encoder, layer: usize) -> LayerSpec {
    let at = |part: &str| model.names.of(&format!("encoder.layer.{layer}.{part}"));
    LayerSpec {
        attention: attention(model, &at),
        attention_norm: SublayerNorm::After(
            model.norm(&at("attention.output.LayerNorm"), model.width),
        ),
        cross: None,
        mlp: MlpSpec::Plain {
            up: linear(&at("intermediate.dense"), model.inner, model.width, true),
            down: linear(&at("output.dense"), model.width, model.inner, true),
            activation: model.activation,
        },
        mlp_norm: SublayerNorm::After(model.norm(&at("output.LayerNorm"), model.width)),
    }
}

fn attention(model: &Encoder, at: &impl Fn(&str) -> String) -> AttentionSpec {
    let parts = ["self.query", "self.key", "self.value", "output.dense"];
    let part = |part| linear(&at(&format!("attention.{part}")), model.width, model.width, true);
    model.heads.attention(parts.map(part))
}
