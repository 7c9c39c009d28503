//! ALBERT: a BERT with a narrower embedding whose layers share their weights in groups.

use serde_json::json;

use super::encoder::{self, Encoder, Heading};
use super::fields::{Fields, invalid};
use super::tensors::{Heads, linear};
use super::{ConfigError, Has, Names};
use crate::model::spec::{
    AttentionSpec, EmbeddingSpec, LayerSpec, MlpSpec, NetworkSpec, SpecialTokens, StackSpec,
    SublayerNorm,
};

/// Reads the config of an ALBERT.
pub(super) fn read(fields: &Fields, has: Has) -> Result<NetworkSpec, ConfigError> {
    let width = fields.count_or("hidden_size", 4096)?;
    let model = Encoder {
        names: Names::with_prefix(has, "albert.", "embeddings.word_embeddings.weight"),
        has,
        vocab_size: fields.count_or("vocab_size", 30000)?,
        longest: fields.count_or("max_position_embeddings", 512)?,
        embedding_width: fields.count_or("embedding_size", 128)?,
        width,
        inner: fields.count_or("intermediate_size", 16384)?,
        heads: Heads::read(fields, &["num_attention_heads"], 64, width)?,
        activation: fields.activation("hidden_act", "gelu_new")?,
        epsilon: fields.number_or("layer_norm_eps", 1e-12)? as f32,
    };
    let heading = Heading {
        dense: "predictions.dense",
        norm: "predictions.LayerNorm",
        decoder: "predictions.decoder",
        bias: "predictions.bias",
        pooler: "pooler",
    };
    let projection = model.names.of("encoder.embedding_hidden_mapping_in");
    let projection = linear(&projection, model.width, model.embedding_width, true);
    let stack = StackSpec {
        embedding: EmbeddingSpec { projection: Some(projection), ..model.embedding(fields)? },
        layers: order(fields)?.into_iter().map(|place| layer(&model, place)).collect(),
        norm: None,
    };
    let tokens =
        SpecialTokens { bos: Some(2), eos: vec![3], pad: Some(0), ..SpecialTokens::default() };
    encoder::network("albert", fields, &model, &heading, stack, tokens)
}

/// Group and place in it of each layer, in the order in which they are computed: groups by equal runs, all of a group's
/// layers at every step.
fn order(fields: &Fields) -> Result<Vec<(usize, usize)>, ConfigError> {
    let steps = fields.part_count_of(&["num_hidden_layers"], 12)?;
    let groups = fields.part_count_of(&["num_hidden_groups"], 1)?;
    let inner = fields.part_count_of(&["inner_group_num"], 1)?;
    if groups > steps {
        let expected = format!("at most num_hidden_layers = {steps}");
        return Err(invalid("num_hidden_groups", &json!(groups), &expected));
    }
    // transformers' own arithmetic, rounding included.
    let group = |step| (step as f64 / (steps as f64 / groups as f64)) as usize;
    Ok((0..steps).flat_map(|step| (0..inner).map(move |place| (group(step), place))).collect())
}

fn layer(model: &Encoder, (group, place): (usize, usize)) -> LayerSpec {
    let prefix = format!("encoder.albert_layer_groups.{group}.albert_layers.{place}");
    let at = |part: &str| model.names.of(&format!("{prefix}.{part}"));
    LayerSpec {
        attention: attention(model, &at),
        attention_norm: SublayerNorm::After(model.norm(&at("attention.LayerNorm"), model.width)),
        cross: None,
        mlp: MlpSpec::Plain {
            up: linear(&at("ffn"), model.inner, model.width, true),
            down: linear(&at("ffn_output"), model.width, model.inner, true),
            activation: model.activation,
        },
        mlp_norm: SublayerNorm::After(model.norm(&at("full_layer_layer_norm"), model.width)),
    }
}

fn attention(model: &Encoder, at: &impl Fn(&str) -> String) -> AttentionSpec {
    let part = |part| linear(&at(&format!("attention.{part}")), model.width, model.width, true);
    model.heads.attention(["query", "key", "value", "dense"].map(part))
}
