//! `config.json` to a [`NetworkSpec`], one file per family. Read strictly: a setting that changes the numbers and is not
//! computed here is an error.
//!
//! Both spellings are read, transformers 4's and 5's; an absent field means what transformers' config class says.

mod albert;
mod alone;
mod bart;
mod bert;
mod bloom;
mod encoder;
mod error;
mod fields;
mod gpt2;
mod llama;
mod mixture;
mod rope;
mod t5;
mod tensors;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

pub use error::ConfigError;
use fields::{Fields, invalid, unsupported};
use llama::Member;

use super::spec::{MatrixSpec, NetworkSpec, SpecialTokens};

/// Whether the checkpoint has a tensor of that name.
type Has<'a> = &'a dyn Fn(&str) -> bool;

const FAMILIES: &str = "llama, mistral, mixtral, qwen2, qwen3, gemma, gemma2, gpt2, bloom, t5, mt5, bart, bert, albert";

impl NetworkSpec {
    /// Reads a parsed `config.json`; `has` tells which tensors the checkpoint has, since some settings are only there.
    ///
    /// # Errors
    /// [`ConfigError`]: another family, a field of the wrong kind, a feature that is not computed.
    pub fn from_json(json: &Value, has: &dyn Fn(&str) -> bool) -> Result<Self, ConfigError> {
        let fields = Fields::new(json)?;
        let Some(family) = fields.get("model_type") else {
            return Err(ConfigError::Missing { field: "model_type".into(), expected: FAMILIES });
        };
        if let Some(value) = fields.get("quantization_config") {
            let supported = "none (dequantize the checkpoint first)".to_owned();
            return Err(unsupported("quantization_config", value, supported));
        }
        refuse_foreign(&fields)?;
        match family.as_str().unwrap_or_default() {
            "llama" => llama::read(&fields, Member::Llama, has),
            "mistral" => llama::read(&fields, Member::Mistral, has),
            "mixtral" | "merge_search_mixtral" => llama::read(&fields, Member::Mixtral, has),
            "qwen2" => llama::read(&fields, Member::Qwen2, has),
            "qwen3" => llama::read(&fields, Member::Qwen3, has),
            "gemma" => llama::read(&fields, Member::Gemma, has),
            "gemma2" => llama::read(&fields, Member::Gemma2, has),
            "gpt2" => gpt2::read(&fields, has),
            "bloom" => bloom::read(&fields, has),
            "t5" => t5::read(&fields, t5::Member::T5, has),
            "mt5" => t5::read(&fields, t5::Member::Mt5, has),
            "bart" => bart::read(&fields, has),
            "bert" => bert::read(&fields, has),
            "albert" => albert::read(&fields, has),
            _ => Err(unsupported("model_type", family, FAMILIES.into())),
        }
    }
}

/// Names of a checkpoint's tensors, which the hub's files have with or without the module's name in front.
struct Names(&'static str);

impl Names {
    /// With `prefix` unless the checkpoint has `probe` without it.
    fn with_prefix(has: Has, prefix: &'static str, probe: &str) -> Self {
        Names(if has(probe) { "" } else { prefix })
    }

    fn of(&self, part: &str) -> String {
        format!("{}{part}", self.0)
    }
}

/// Embedding and output matrix of a causal model, both `[vocab, width]`. What is stored counts for more than the flag:
/// transformers does not tie two stored tensors that differ.
///
/// # Errors
/// [`ConfigError::NoHead`] if one is neither stored nor tied to the other.
fn language_model(
    embedding: String,
    shape: [usize; 2],
    tied_by_default: bool,
    fields: &Fields,
    has: Has,
) -> Result<(MatrixSpec, MatrixSpec), ConfigError> {
    let head = || "lm_head.weight".to_owned();
    let tied = fields.flag("tie_word_embeddings", tied_by_default)?;
    let tokens = tensors::tied_or_own(embedding.clone(), &[head()], tied, shape, has)?;
    let output = tensors::tied_or_own(head(), &[embedding], tied, shape, has)?;
    Ok((tokens, output))
}

/// Tokens of a network with a decoder, which has to start somewhere.
fn require_start(
    fields: &Fields,
    tokens: SpecialTokens,
    vocab_size: usize,
) -> Result<SpecialTokens, ConfigError> {
    const FIELD: &str = "decoder_start_token_id";
    let expected = "the id of the token that a decoder starts with";
    let start = tokens.decoder_start;
    let start = start.ok_or_else(|| ConfigError::Missing { field: FIELD.into(), expected })?;
    if (start as usize) < vocab_size {
        return Ok(tokens);
    }
    let field = if fields.get(FIELD).is_some() { FIELD } else { "pad_token_id" };
    Err(invalid(field, &json!(start), &format!("an id below vocab_size = {vocab_size}")))
}

/// Settings that no family here has, or that every one has alike: those that transformers does not read say that the
/// checkpoint is another network than its `model_type`.
fn refuse_foreign(fields: &Fields) -> Result<(), ConfigError> {
    let absent = || Value::Null;
    let neutral = [
        ("is_causal", json!(true)),
        ("per_layer_config", json!({})),
        ("attention_multiplier", absent()),
        ("embedding_multiplier", json!(1)),
        ("residual_multiplier", json!(1)),
        ("logits_scaling", json!(1)),
        ("use_mrope", json!(false)),
        ("alibi", json!(false)),
        ("qk_norm", json!(false)),
        ("use_qk_norm", json!(false)),
        ("no_rope_layers", absent()),
        ("rope_interleaved", json!(false)),
    ];
    neutral.into_iter().try_for_each(|(field, value)| fields.only(field, &[value]))
}
