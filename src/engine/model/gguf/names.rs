//! Hugging Face's names of tensors in llama.cpp's words, and what its converter did to their elements.
//!
//! Source: `convert_hf_to_gguf.py` and `gguf-py/gguf/tensor_mapping.py` of llama.cpp.

use super::settings::{Family, Settings};

/// A tensor of the model in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Name in the file.
    pub tensor: String,
    pub change: Change,
    /// The slice of the first axis that it is, where the experts of a layer stand in one tensor.
    pub expert: Option<usize>,
}

/// What the converter did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// Rows of each head reordered from halves to pairs, for ggml's rotary embedding of the architecture `llama`.
    QueryRows,
    /// The same by key heads.
    KeyRows,
    /// One was added to every element.
    PlusOne,
}

const EMBEDDING: (&str, &str) = ("model.embed_tokens.weight", "token_embd.weight");
const NORM: (&str, &str) = ("model.norm.weight", "output_norm.weight");
const HEAD: (&str, &str) = ("lm_head.weight", "output.weight");

/// Parts of a layer in both words.
const PARTS: &[(&str, &str)] = &[
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];
const QWEN3_PARTS: &[(&str, &str)] =
    &[("self_attn.q_norm", "attn_q_norm"), ("self_attn.k_norm", "attn_k_norm")];
const NORM_PARTS: &[(&str, &str)] = &[("post_attention_layernorm", "ffn_norm")];
const GEMMA2_PARTS: &[(&str, &str)] = &[
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];
const MIXTRAL_PARTS: &[(&str, &str)] = &[("block_sparse_moe.gate", "ffn_gate_inp")];
/// Stacked over the experts in the file.
const EXPERT_PARTS: &[(&str, &str)] =
    &[("w1", "ffn_gate_exps"), ("w2", "ffn_down_exps"), ("w3", "ffn_up_exps")];

fn parts(family: Family) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let more: &[&[_]] = match family {
        Family::Qwen3 => &[NORM_PARTS, QWEN3_PARTS],
        Family::Gemma2 => &[GEMMA2_PARTS],
        Family::Mixtral => &[NORM_PARTS, MIXTRAL_PARTS],
        Family::Llama | Family::Qwen2 | Family::Gemma => &[NORM_PARTS],
    };
    PARTS.iter().chain(more.iter().copied().flatten())
}

/// Where the tensor that Hugging Face calls `name` stands; `None` if the family has no such tensor.
pub(super) fn source(family: Family, name: &str) -> Option<Source> {
    let of = |tensor: &str, change| Source { tensor: tensor.to_owned(), change, expert: None };
    if let Some((_, tensor)) = [EMBEDDING, HEAD].iter().find(|(ours, _)| *ours == name) {
        return Some(of(tensor, Change::None));
    }
    if name == NORM.0 {
        return Some(of(NORM.1, norm_change(family)));
    }
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    let (part, kind) = rest.rsplit_once('.').filter(|(_, kind)| is_kind(kind))?;
    if let Some(expert) = part.strip_prefix("block_sparse_moe.experts.") {
        let (expert, part) = expert.split_once('.').filter(|_| family == Family::Mixtral)?;
        let (_, stacked) = EXPERT_PARTS.iter().find(|(ours, _)| *ours == part)?;
        let tensor = format!("blk.{layer}.{stacked}.{kind}");
        return Some(Source { tensor, change: Change::None, expert: Some(expert.parse().ok()?) });
    }
    let (_, stored) = parts(family).find(|(ours, _)| *ours == part)?;
    Some(of(&format!("blk.{layer}.{stored}.{kind}"), layer_change(family, stored)))
}

fn is_kind(kind: &str) -> bool {
    matches!(kind, "weight" | "bias")
}

fn norm_change(family: Family) -> Change {
    match family {
        Family::Gemma | Family::Gemma2 => Change::PlusOne,
        _ => Change::None,
    }
}

fn layer_change(family: Family, stored: &str) -> Change {
    match stored {
        "attn_q" if family.is_llama() => Change::QueryRows,
        "attn_k" if family.is_llama() => Change::KeyRows,
        _ if stored.ends_with("_norm") => norm_change(family),
        _ => Change::None,
    }
}

/// Whether a model of these settings has a tensor that llama.cpp calls `tensor`.
pub(super) fn is_known(settings: &Settings, tensor: &str) -> bool {
    let family = settings.family;
    if [EMBEDDING, NORM, HEAD].iter().any(|(_, stored)| *stored == tensor) {
        return true;
    }
    let Some((layer, rest)) = tensor.strip_prefix("blk.").and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    let Some((part, kind)) = rest.rsplit_once('.') else {
        return false;
    };
    let experts = if family == Family::Mixtral { EXPERT_PARTS } else { &[] };
    layer.parse::<usize>().is_ok_and(|layer| layer < settings.layers)
        && (kind == "weight" || kind == "bias" && has_bias(settings, part))
        && parts(family).chain(experts).any(|(_, stored)| *stored == part)
}

fn has_bias(settings: &Settings, part: &str) -> bool {
    match part {
        "attn_q" | "attn_k" | "attn_v" => settings.attention_bias,
        "attn_output" => settings.attention_bias && settings.family != Family::Qwen2,
        "ffn_gate" | "ffn_up" | "ffn_down" => settings.mlp_bias,
        _ => false,
    }
}
