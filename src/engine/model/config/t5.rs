//! T5, Flan-T5 and mT5: encoder and decoder with root-mean-square norms, no biases and a table of relative positions.

use serde_json::json;

use super::fields::{Fields, activation, invalid, unsupported};
use super::tensors::{Heads, linear, refuse_classifier, tied_or_own};
use super::{ConfigError, Has};
use crate::model::spec::{
    Activation, AttentionSpec, EmbeddingSpec, GatedSpec, HeadSpec, LayerSpec, LinearSpec,
    MatrixSpec, MlpSpec, NetworkSpec, NormKind, NormSpec, PositionsSpec, Reading, SpecialTokens,
    StackSpec, SublayerNorm, VectorSpec,
};

const WIDTH: [&str; 2] = ["d_model", "hidden_size"];
const LAYERS: [&str; 2] = ["num_layers", "num_hidden_layers"];
const HEADS: [&str; 2] = ["num_heads", "num_attention_heads"];
const HEAD_DIM: [&str; 2] = ["d_kv", "head_dim"];
const HEAD: &str = "lm_head.weight";
const SHARED: &str = "shared.weight";

/// Members of the family.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    T5,
    Mt5,
}

struct T5 {
    width: usize,
    inner: usize,
    heads: Heads,
    epsilon: f32,
    activation: Activation,
    gated: bool,
    buckets: usize,
    max_distance: usize,
}

/// Reads the config of a member.
pub(super) fn read(fields: &Fields, member: Member, has: Has) -> Result<NetworkSpec, ConfigError> {
    fields.only("is_encoder_decoder", &[json!(true)])?;
    refuse_classifier(has, "classification_head.dense.weight")?;
    let of_mt5 = member == Member::Mt5;
    let model = T5::read(fields, of_mt5)?;
    let vocab_size = fields.count_or("vocab_size", if of_mt5 { 250_112 } else { 32_128 })?;
    let layers = fields.part_count_of(&LAYERS, if of_mt5 { 8 } else { 6 })?;
    let decoder_layers = fields.part_count_of(&["num_decoder_layers"], layers)?;
    let shape = [vocab_size, model.width];
    let embedding = |side: &str| {
        let names = [SHARED, "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", HEAD];
        tied_or_own(
            format!("{side}.embed_tokens.weight"),
            &names.map(str::to_owned),
            true,
            shape,
            has,
        )
    };
    // Whatever the flag says: transformers 5 saves `true` for every T5, real files of T5 1.1 have `false` and a head.
    let output = tied_or_own(HEAD.to_owned(), &[embedding("decoder")?.tensor], true, shape, has)?;
    Ok(NetworkSpec {
        family: fields.text("model_type", "t5")?.to_owned(),
        reading: Reading::Seq2Seq,
        vocab_size,
        hidden_size: model.width,
        longest: None,
        encoder: Some(model.stack("encoder", embedding("encoder")?, layers)),
        decoder: Some(model.stack("decoder", embedding("decoder")?, decoder_layers)),
        head: HeadSpec::LanguageModel {
            transform: None,
            scale: head_scale(fields, member, model.width)?,
            output: LinearSpec { weight: output, bias: None },
            softcap: None,
        },
        tokens: special_tokens(fields, vocab_size)?,
        settings: fields.settings(),
    })
}

/// The width to the power -½ unless the file says otherwise; `scale_decoder_outputs` is what transformers 5 writes where 4
/// wrote `tie_word_embeddings`. transformers 5 scales no mT5.
fn head_scale(fields: &Fields, member: Member, width: usize) -> Result<f32, ConfigError> {
    if member == Member::Mt5 {
        return Ok(1.0);
    }
    let tied = fields.flag("tie_word_embeddings", true)?;
    let scaled = fields.flag("scale_decoder_outputs", tied)?;
    Ok(if scaled { (width as f64).powf(-0.5) as f32 } else { 1.0 })
}

fn special_tokens(fields: &Fields, vocab_size: usize) -> Result<SpecialTokens, ConfigError> {
    let defaults = SpecialTokens { pad: Some(0), eos: vec![1], ..SpecialTokens::default() };
    let tokens = fields.special_tokens_or(defaults)?;
    // The class names no start; all published T5s start with padding.
    let decoder_start = tokens.decoder_start.or(tokens.pad);
    super::require_start(fields, SpecialTokens { decoder_start, ..tokens }, vocab_size)
}

impl T5 {
    fn read(fields: &Fields, of_mt5: bool) -> Result<Self, ConfigError> {
        let (gated, activation) = feed_forward(fields, if of_mt5 { "gated-gelu" } else { "relu" })?;
        let model = T5 {
            width: fields.count_of(&WIDTH, 512)?,
            inner: fields.count_or("d_ff", if of_mt5 { 1024 } else { 2048 })?,
            heads: Heads {
                count: fields.part_count_of(&HEADS, if of_mt5 { 6 } else { 8 })?,
                dim: fields.count_of(&HEAD_DIM, 64)?,
            },
            epsilon: fields.number_or("layer_norm_epsilon", 1e-6)? as f32,
            activation,
            gated,
            buckets: fields.count_or("relative_attention_num_buckets", 32)?,
            max_distance: fields.count_or("relative_attention_max_distance", 128)?,
        };
        model.check_buckets()?;
        Ok(model)
    }

    /// Half of a direction's buckets count single positions, the others grow logarithmically up to the longest distance.
    fn check_buckets(&self) -> Result<(), ConfigError> {
        if self.buckets < 4 {
            let field = "relative_attention_num_buckets";
            return Err(invalid(field, &self.buckets.into(), "at least 4"));
        }
        if self.max_distance <= self.buckets / 2 {
            let expected = format!("more than half of the {} buckets", self.buckets);
            let field = "relative_attention_max_distance";
            return Err(invalid(field, &self.max_distance.into(), &expected));
        }
        Ok(())
    }

    fn stack(&self, side: &'static str, tokens: MatrixSpec, layers: usize) -> StackSpec {
        StackSpec {
            embedding: EmbeddingSpec {
                tokens,
                scale: 1.0,
                positions: None,
                token_type: None,
                norm: None,
                projection: None,
            },
            layers: (0..layers).map(|layer| self.layer(side, layer)).collect(),
            norm: Some(self.norm(format!("{side}.final_layer_norm.weight"))),
        }
    }

    fn norm(&self, tensor: String) -> NormSpec {
        let weight = VectorSpec::whole(tensor, self.width);
        NormSpec { kind: NormKind::Rms, weight, bias: None, epsilon: self.epsilon }
    }

    fn layer(&self, side: &'static str, layer: usize) -> LayerSpec {
        let at = |part: &str| format!("{side}.block.{layer}.layer.{part}");
        let norm = |sublayer| {
            SublayerNorm::Before(self.norm(at(&format!("{sublayer}.layer_norm.weight"))))
        };
        let decodes = side == "decoder";
        let cross = || (self.attention(&at("1.EncDecAttention")), norm(1));
        let mlp = if decodes { 2 } else { 1 };
        let attention = self.attention(&at("0.SelfAttention"));
        LayerSpec {
            attention: AttentionSpec { positions: self.positions(side), ..attention },
            attention_norm: norm(0),
            cross: decodes.then(cross),
            mlp: self.mlp(&at(&format!("{mlp}.DenseReluDense"))),
            mlp_norm: norm(mlp),
        }
    }

    /// The first layer's table serves all layers of its stack.
    fn positions(&self, side: &'static str) -> PositionsSpec {
        let table = format!("{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
        PositionsSpec::Relative {
            table: MatrixSpec::whole(table, self.buckets, self.heads.count),
            buckets: self.buckets,
            max_distance: self.max_distance,
            bidirectional: side == "encoder",
        }
    }

    fn attention(&self, name: &str) -> AttentionSpec {
        let inward =
            |part| linear(&format!("{name}.{part}"), self.heads.width(), self.width, false);
        let output = linear(&format!("{name}.o"), self.width, self.heads.width(), false);
        let attention = self.heads.attention([inward("q"), inward("k"), inward("v"), output]);
        AttentionSpec { scale: 1.0, ..attention }
    }

    fn mlp(&self, name: &str) -> MlpSpec {
        let up = |part| linear(&format!("{name}.{part}"), self.inner, self.width, false);
        let down = linear(&format!("{name}.wo"), self.width, self.inner, false);
        let activation = self.activation;
        match self.gated {
            true => {
                MlpSpec::Gated(GatedSpec { gate: up("wi_0"), up: up("wi_1"), down, activation })
            }
            false => MlpSpec::Plain { up: up("wi"), down, activation },
        }
    }
}

/// Whether the MLP is gated, and its activation; the two fields that transformers 4 wrote besides have the last word.
fn feed_forward(fields: &Fields, default: &'static str) -> Result<(bool, Activation), ConfigError> {
    let projection = fields.text("feed_forward_proj", default)?;
    let (gated, name) = match projection.split_once('-') {
        None => (false, projection),
        // The file says gelu and means its approximation.
        Some(("gated", "gelu")) => (true, "gelu_new"),
        Some(("gated", name)) => (true, name),
        Some(_) => (false, ""),
    };
    if activation(name).is_none() {
        let supported = "an activation such as relu or gelu, or gated- and its name".to_owned();
        return Err(unsupported("feed_forward_proj", &json!(projection), supported));
    }
    Ok((fields.flag("is_gated_act", gated)?, fields.activation("dense_act_fn", name)?))
}
