//! Llama, Mistral, Mixtral, Qwen2, Qwen3, Gemma and Gemma 2: rotary decoders that differ in norms, biases and windows.

use serde_json::{Value, json};

use super::fields::{Fields, invalid, unsupported};
use super::rope::{RopeDefaults, require_even, rotary};
use super::tensors::linear;
use super::{ConfigError, Has, Names, mixture};
use crate::model::spec::{
    Activation, AttentionSpec, EmbeddingSpec, GatedSpec, HeadSpec, LayerSpec, LinearSpec, MlpSpec,
    NetworkSpec, NormKind, NormSpec, PositionsSpec, Reading, RotarySpec, SpecialTokens, StackSpec,
    SublayerNorm, VectorSpec,
};

/// Members of the family.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Llama,
    Mistral,
    Mixtral,
    Qwen2,
    Qwen3,
    Gemma,
    Gemma2,
}

/// What the config says, checked.
struct Shape {
    member: Member,
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    longest: usize,
    epsilon: f32,
    attention_bias: bool,
    windows: Vec<Option<usize>>,
    /// Layers of a Mixtral that have one feed-forward block, as a Llama.
    dense_layers: Vec<usize>,
    rotary: RotarySpec,
}

/// Reads the config of a member.
pub(super) fn read(fields: &Fields, member: Member, has: Has) -> Result<NetworkSpec, ConfigError> {
    refuse(fields, member)?;
    let shape = Shape::read(fields, member)?;
    let names = Names::with_prefix(has, "model.", "embed_tokens.weight");
    let vocab_size = fields.count("vocab_size")?;
    let embedding = names.of("embed_tokens.weight");
    let (embedding, output) = super::language_model(
        embedding,
        [vocab_size, shape.hidden],
        member.is_gemma(),
        fields,
        has,
    )?;
    let layers = (0..shape.layers)
        .map(|layer| shape.layer(fields, &names, layer))
        .collect::<Result<_, _>>()?;
    let decoder = StackSpec {
        embedding: EmbeddingSpec {
            tokens: embedding,
            // transformers rounds it to the weights' type, which is f32 here.
            scale: if member.is_gemma() { (shape.hidden as f32).sqrt() } else { 1.0 },
            positions: None,
            token_type: None,
            norm: None,
            projection: None,
        },
        layers,
        norm: Some(shape.norm(names.of("norm.weight"), shape.hidden)),
    };
    let softcap = (member == Member::Gemma2).then(|| soft(fields, "final_logit_softcapping", 30.0));
    Ok(NetworkSpec {
        family: fields.text("model_type", "")?.to_owned(),
        reading: Reading::Causal,
        vocab_size,
        hidden_size: shape.hidden,
        longest: Some(shape.longest),
        encoder: None,
        decoder: Some(decoder),
        head: HeadSpec::LanguageModel {
            transform: None,
            scale: 1.0,
            output: LinearSpec { weight: output, bias: None },
            softcap: softcap.transpose()?.flatten(),
        },
        tokens: fields.special_tokens_or(member.default_tokens())?,
        settings: fields.settings(),
    })
}

/// A cap that may be switched off by null but not by leaving it out.
fn soft(fields: &Fields, field: &str, default: f64) -> Result<Option<f32>, ConfigError> {
    if fields.has(field) && fields.get(field).is_none() {
        return Ok(None);
    }
    Ok(Some(fields.number_or(field, default)? as f32))
}

fn refuse(fields: &Fields, member: Member) -> Result<(), ConfigError> {
    // With more than one slice transformers 4 added partial products in another order; 5 ignores it.
    fields.only("pretraining_tp", &[json!(1)])?;
    fields.only("use_bidirectional_attention", &[json!(false)])?;
    if member == Member::Qwen2 || matches!(member, Member::Mistral | Member::Mixtral) {
        fields.only("attention_bias", &[json!(member == Member::Qwen2)])?;
    }
    if member != Member::Llama {
        fields.only("mlp_bias", &[json!(false)])?;
    }
    if member != Member::Gemma2 {
        for field in ["query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"]
        {
            fields.only(field, &[Value::Null])?;
        }
    }
    if member == Member::Gemma {
        fields.only("hidden_activation", &[json!("gelu_pytorch_tanh")])?;
    }
    member.never_null().iter().try_for_each(|field| fields.not_null(field, "a positive integer"))
}

impl Member {
    fn is_gemma(self) -> bool {
        matches!(self, Member::Gemma | Member::Gemma2)
    }

    /// Fields for which `null` is no way to ask for the default.
    fn never_null(self) -> &'static [&'static str] {
        match self {
            Member::Llama => &[],
            Member::Mistral | Member::Mixtral => &["num_key_value_heads"],
            Member::Qwen2 | Member::Qwen3 => &["head_dim"],
            Member::Gemma => &["num_key_value_heads", "head_dim"],
            Member::Gemma2 => &["num_key_value_heads", "head_dim", "sliding_window"],
        }
    }

    /// Where the file does not mention them; `null` means one for each query head.
    fn default_kv_heads(self, heads: usize) -> usize {
        match self {
            Member::Llama => heads,
            Member::Mistral | Member::Mixtral => 8,
            Member::Qwen2 | Member::Qwen3 => 32,
            Member::Gemma => 16,
            Member::Gemma2 => 4,
        }
    }

    fn default_tokens(self) -> SpecialTokens {
        let (bos, eos, pad) = match self {
            Member::Llama | Member::Mistral | Member::Mixtral => (Some(1), vec![2], None),
            Member::Qwen2 | Member::Qwen3 => (None, Vec::new(), None),
            Member::Gemma | Member::Gemma2 => (Some(2), vec![1], Some(0)),
        };
        SpecialTokens { bos, eos, pad, decoder_start: None }
    }

    fn default_theta(self) -> f64 {
        if self == Member::Mixtral { 1e6 } else { 1e4 }
    }

    fn default_epsilon(self) -> f64 {
        if self == Member::Mixtral { 1e-5 } else { 1e-6 }
    }
}

impl Shape {
    fn read(fields: &Fields, member: Member) -> Result<Self, ConfigError> {
        let heads = fields.bound("num_attention_heads", fields.count("num_attention_heads")?)?;
        let hidden = fields.count("hidden_size")?;
        let layers = fields.bound("num_hidden_layers", fields.count("num_hidden_layers")?)?;
        let default_head = match member {
            Member::Qwen3 => 128,
            Member::Gemma | Member::Gemma2 => 256,
            _ => hidden / heads,
        };
        let head_dim = fields.bound("head_dim", fields.count_or("head_dim", default_head)?)?;
        require_even("head_dim", head_dim)?;
        let longest = fields.count("max_position_embeddings")?;
        let theta = member.default_theta();
        Ok(Shape {
            member,
            hidden,
            layers,
            heads,
            kv_heads: kv_heads(fields, member, heads)?,
            head_dim,
            longest,
            epsilon: fields.number_or("rms_norm_eps", member.default_epsilon())? as f32,
            attention_bias: match member {
                Member::Mistral | Member::Mixtral => false,
                Member::Qwen2 => true,
                _ => fields.flag("attention_bias", false)?,
            },
            windows: windows(fields, member, layers, longest)?,
            dense_layers: match member {
                Member::Mixtral => mixture::dense_layers(fields, layers)?,
                // The others have no such field.
                _ => Vec::new(),
            },
            rotary: rotary(fields, &RopeDefaults { head_dim, theta, longest })?,
        })
    }

    fn norm(&self, tensor: String, width: usize) -> NormSpec {
        let plus = if self.member.is_gemma() { 1.0 } else { 0.0 };
        let weight = VectorSpec { plus, ..VectorSpec::whole(tensor, width) };
        NormSpec { kind: NormKind::Rms, weight, bias: None, epsilon: self.epsilon }
    }

    fn layer(
        &self,
        fields: &Fields,
        names: &Names,
        layer: usize,
    ) -> Result<LayerSpec, ConfigError> {
        let at = |part: &str| names.of(&format!("layers.{layer}.{part}"));
        let norm = |part: &str| self.norm(at(part), self.hidden);
        let (attention_norm, mlp_norm) = match self.member {
            Member::Gemma2 => (
                SublayerNorm::Around {
                    before: norm("input_layernorm.weight"),
                    after: norm("post_attention_layernorm.weight"),
                },
                SublayerNorm::Around {
                    before: norm("pre_feedforward_layernorm.weight"),
                    after: norm("post_feedforward_layernorm.weight"),
                },
            ),
            _ => (
                SublayerNorm::Before(norm("input_layernorm.weight")),
                SublayerNorm::Before(norm("post_attention_layernorm.weight")),
            ),
        };
        let attention = self.attention(fields, &at, layer)?;
        Ok(LayerSpec {
            attention,
            attention_norm,
            cross: None,
            mlp: self.mlp(fields, &at, layer)?,
            mlp_norm,
        })
    }

    fn attention(
        &self,
        fields: &Fields,
        at: &impl Fn(&str) -> String,
        layer: usize,
    ) -> Result<AttentionSpec, ConfigError> {
        let (width, kv_width) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let bias = self.attention_bias;
        let linear = |part: &str, outputs, inputs, bias| linear(&at(part), outputs, inputs, bias);
        let head_norm = |part: &str| self.norm(at(part), self.head_dim);
        let gemma2 = self.member == Member::Gemma2;
        let scalar = match gemma2 {
            true => fields.number_or("query_pre_attn_scalar", 256.0)?,
            false => self.head_dim as f64,
        };
        Ok(AttentionSpec {
            query: linear("self_attn.q_proj", width, self.hidden, bias),
            key: linear("self_attn.k_proj", kv_width, self.hidden, bias),
            value: linear("self_attn.v_proj", kv_width, self.hidden, bias),
            output: linear(
                "self_attn.o_proj",
                self.hidden,
                width,
                bias && self.member != Member::Qwen2,
            ),
            head_norms: (self.member == Member::Qwen3).then(|| {
                (head_norm("self_attn.q_norm.weight"), head_norm("self_attn.k_norm.weight"))
            }),
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            scale: scalar.powf(-0.5) as f32,
            softcap: if gemma2 { soft(fields, "attn_logit_softcapping", 50.0)? } else { None },
            window: self.windows[layer],
            positions: PositionsSpec::Rotary(self.rotary.clone()),
        })
    }

    fn mlp(
        &self,
        fields: &Fields,
        at: &impl Fn(&str) -> String,
        layer: usize,
    ) -> Result<MlpSpec, ConfigError> {
        let inner = fields.count("intermediate_size")?;
        let activation = match self.member {
            // `hidden_act` is what old Gemma files have; transformers goes by it in Gemma and by the other in Gemma 2.
            Member::Gemma2 => fields.activation("hidden_activation", "gelu_pytorch_tanh")?,
            // The files say gelu and mean its approximation.
            Member::Gemma => match fields.activation("hidden_act", "gelu_pytorch_tanh")? {
                Activation::Gelu => Activation::GeluTanh,
                other => other,
            },
            _ => fields.activation("hidden_act", "silu")?,
        };
        if self.member == Member::Mixtral && !self.dense_layers.contains(&layer) {
            return mixture::experts(fields, at, [inner, self.hidden], activation);
        }
        let bias = self.member == Member::Llama && fields.flag("mlp_bias", false)?;
        Ok(MlpSpec::Gated(GatedSpec {
            gate: linear(&at("mlp.gate_proj"), inner, self.hidden, bias),
            up: linear(&at("mlp.up_proj"), inner, self.hidden, bias),
            down: linear(&at("mlp.down_proj"), self.hidden, inner, bias),
            activation,
        }))
    }
}

fn kv_heads(fields: &Fields, member: Member, heads: usize) -> Result<usize, ConfigError> {
    let null = fields.has("num_key_value_heads");
    let default = if null { heads } else { member.default_kv_heads(heads) };
    let kv_heads = fields.count_or("num_key_value_heads", default)?;
    if heads.is_multiple_of(kv_heads) {
        return Ok(kv_heads);
    }
    let expected = format!("a divisor of num_attention_heads = {heads}");
    Err(invalid("num_key_value_heads", &kv_heads.into(), &expected))
}

/// Window of each layer. One that no sequence fills is none.
fn windows(
    fields: &Fields,
    member: Member,
    layers: usize,
    longest: usize,
) -> Result<Vec<Option<usize>>, ConfigError> {
    let default = match member {
        // The class has no window; its config may carry the key all the same.
        Member::Llama | Member::Gemma => return Ok(vec![None; layers]),
        Member::Mixtral => None,
        _ => Some(4096),
    };
    let window = match fields.has("sliding_window") {
        true => fields.optional_count("sliding_window")?,
        false => default,
    };
    let window = window.filter(|window| *window < longest);
    let qwen = matches!(member, Member::Qwen2 | Member::Qwen3);
    let used = !qwen || fields.flag("use_sliding_window", false)?;
    let everywhere = matches!(member, Member::Mistral | Member::Mixtral);
    if everywhere && window.is_some() {
        // transformers would not look at it.
        fields.only("use_sliding_window", &[json!(true)])?;
    }
    let slides: Vec<bool> = match fields.list("layer_types")? {
        Some(types) => {
            let slides = layer_types(types, layers)?;
            let refused = |supported: &str| {
                Err(unsupported("layer_types", &Value::from(types.to_vec()), supported.to_owned()))
            };
            if everywhere && window.is_some() && slides.contains(&false) {
                return refused("sliding_attention for every layer");
            }
            if !used && slides.contains(&true) {
                return refused("full_attention for every layer, or use_sliding_window");
            }
            slides
        }
        None if qwen => {
            let first = fields.natural_or("max_window_layers", 28)?;
            (0..layers).map(|layer| layer >= first).collect()
        }
        None if member == Member::Gemma2 => (0..layers).map(|layer| layer % 2 == 0).collect(),
        None => vec![true; layers],
    };
    Ok(slides.into_iter().map(|slides| window.filter(|_| slides && used)).collect())
}

fn layer_types(types: &[Value], layers: usize) -> Result<Vec<bool>, ConfigError> {
    let expected = "full_attention or sliding_attention for every layer";
    let wrong = || invalid("layer_types", &Value::from(types.to_vec()), expected);
    let slides = |kind: &Value| match kind.as_str() {
        Some("full_attention" | "attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => Err(wrong()),
    };
    if types.len() != layers {
        return Err(wrong());
    }
    types.iter().map(slides).collect()
}
