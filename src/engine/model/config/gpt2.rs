//! GPT-2: learned positions, weights stored `[inputs, outputs]`, query, key and value side by side.

use serde_json::json;

use super::fields::Fields;
use super::tensors::{Heads, layer_norm, refuse_classifier};
use super::{ConfigError, Has, Names};
use crate::model::spec::{
    Activation, AttentionSpec, EmbeddingSpec, HeadSpec, LayerSpec, LinearSpec, MatrixSpec, MlpSpec,
    NetworkSpec, Placement, Reading, SpecialTokens, StackSpec, SublayerNorm, VectorSpec,
};

const WIDTH: [&str; 2] = ["n_embd", "hidden_size"];
const LAYERS: [&str; 2] = ["n_layer", "num_hidden_layers"];
const HEADS: [&str; 2] = ["n_head", "num_attention_heads"];
const LONGEST: [&str; 2] = ["n_positions", "max_position_embeddings"];

struct Gpt2 {
    names: Names,
    width: usize,
    inner: usize,
    heads: Heads,
    epsilon: f32,
    activation: Activation,
    scaled: bool,
    scaled_by_layer: bool,
}

/// Reads the config of a GPT-2.
pub(super) fn read(fields: &Fields, has: Has) -> Result<NetworkSpec, ConfigError> {
    fields.only("add_cross_attention", &[json!(false)])?;
    refuse_classifier(has, "score.weight")?;
    let model = Gpt2::read(fields, has)?;
    let vocab_size = fields.count_or("vocab_size", 50257)?;
    let longest = fields.count_of(&LONGEST, 1024)?;
    let layers = fields.part_count_of(&LAYERS, 12)?;
    let (tokens, output) = super::language_model(
        model.names.of("wte.weight"),
        [vocab_size, model.width],
        true,
        fields,
        has,
    )?;
    let positions = MatrixSpec::whole(model.names.of("wpe.weight"), longest, model.width);
    let decoder = StackSpec {
        embedding: EmbeddingSpec {
            tokens,
            scale: 1.0,
            positions: Some((positions, 0)),
            token_type: None,
            norm: None,
            projection: None,
        },
        layers: (0..layers).map(|layer| model.layer(layer)).collect(),
        norm: Some(layer_norm(&model.names.of("ln_f"), model.width, model.epsilon)),
    };
    Ok(NetworkSpec {
        family: "gpt2".to_owned(),
        reading: Reading::Causal,
        vocab_size,
        hidden_size: model.width,
        longest: Some(longest),
        encoder: None,
        decoder: Some(decoder),
        head: HeadSpec::LanguageModel {
            transform: None,
            scale: 1.0,
            output: LinearSpec { weight: output, bias: None },
            softcap: None,
        },
        tokens: fields.special_tokens_or(SpecialTokens {
            bos: Some(50256),
            eos: vec![50256],
            ..SpecialTokens::default()
        })?,
        settings: fields.settings(),
    })
}

impl Gpt2 {
    fn read(fields: &Fields, has: Has) -> Result<Self, ConfigError> {
        let width = fields.count_of(&WIDTH, 768)?;
        Ok(Gpt2 {
            names: Names::with_prefix(has, "transformer.", "wpe.weight"),
            width,
            inner: fields.count_or("n_inner", 4 * width)?,
            heads: Heads::read(fields, &HEADS, 12, width)?,
            epsilon: fields.number_or("layer_norm_epsilon", 1e-5)? as f32,
            activation: fields.activation("activation_function", "gelu_new")?,
            scaled: fields.flag("scale_attn_weights", true)?,
            scaled_by_layer: fields.flag("scale_attn_by_inverse_layer_idx", false)?,
        })
    }

    fn layer(&self, layer: usize) -> LayerSpec {
        let at = |part: &str| self.names.of(&format!("h.{layer}.{part}"));
        let norm = |part| SublayerNorm::Before(layer_norm(&at(part), self.width, self.epsilon));
        LayerSpec {
            attention: self.attention(&at, layer),
            attention_norm: norm("ln_1"),
            cross: None,
            mlp: MlpSpec::Plain {
                up: conv1d(&at("mlp.c_fc"), self.inner, self.width),
                down: conv1d(&at("mlp.c_proj"), self.width, self.inner),
                activation: self.activation,
            },
            mlp_norm: norm("ln_2"),
        }
    }

    fn attention(&self, at: &impl Fn(&str) -> String, layer: usize) -> AttentionSpec {
        let third = |part| conv1d_part(&at("attn.c_attn"), self.width, self.width, part, 3);
        let output = conv1d(&at("attn.c_proj"), self.width, self.width);
        let attention = self.heads.attention([third(0), third(1), third(2), output]);
        let scale = if self.scaled { (self.heads.dim as f64).powf(-0.5) } else { 1.0 };
        let by_layer = if self.scaled_by_layer { (layer + 1) as f64 } else { 1.0 };
        AttentionSpec { scale: (scale / by_layer) as f32, ..attention }
    }
}

fn conv1d(name: &str, outputs: usize, inputs: usize) -> LinearSpec {
    conv1d_part(name, outputs, inputs, 0, 1)
}

/// Part `part` of `parts` equal ones, stored side by side in `[inputs, parts · outputs]`.
fn conv1d_part(name: &str, outputs: usize, inputs: usize, part: usize, parts: usize) -> LinearSpec {
    let (first, total) = (part * outputs, parts * outputs);
    LinearSpec {
        weight: MatrixSpec {
            tensor: format!("{name}.weight"),
            shape: vec![inputs, total],
            outputs,
            inputs,
            placement: Placement::Columns { first },
        },
        bias: Some(VectorSpec {
            shape: vec![total],
            placement: Placement::Rows { first },
            ..VectorSpec::whole(format!("{name}.bias"), outputs)
        }),
    }
}
