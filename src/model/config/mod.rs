//! `config.json` to a [`NetworkSpec`], one file per family. Read strictly: a setting that changes the numbers and is not
//! computed here is an error.
//!
//! Both spellings are read, transformers 4's and 5's; an absent field means what transformers' config class says.

mod error;
mod fields;
mod llama;
mod rope;

use serde_json::Value;

pub use error::ConfigError;
use fields::{Fields, unsupported};
use llama::Member;

use super::spec::{MatrixSpec, NetworkSpec};

/// Whether the checkpoint has a tensor of that name.
type Has<'a> = &'a dyn Fn(&str) -> bool;

const FAMILIES: &str =
    "llama, mistral, mixtral, qwen2, qwen3, gemma, gemma2, gpt2, bloom, t5, bart, bert, albert";

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
        match family.as_str().unwrap_or_default() {
            "llama" => llama::read(&fields, Member::Llama, has),
            "mistral" => llama::read(&fields, Member::Mistral, has),
            "mixtral" => llama::read(&fields, Member::Mixtral, has),
            "qwen2" => llama::read(&fields, Member::Qwen2, has),
            "qwen3" => llama::read(&fields, Member::Qwen3, has),
            "gemma" => llama::read(&fields, Member::Gemma, has),
            "gemma2" => llama::read(&fields, Member::Gemma2, has),
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

/// The head's matrix: the embedding where they are tied.
fn output_matrix(
    embedding: MatrixSpec,
    tied: bool,
    has: Has,
) -> Result<MatrixSpec, ConfigError> {
    const HEAD: &str = "lm_head.weight";
    if tied {
        return Ok(embedding);
    }
    match has(HEAD) {
        true => Ok(MatrixSpec { tensor: HEAD.to_owned(), ..embedding }),
        false => Err(ConfigError::NoHead { expected: HEAD.to_owned() }),
    }
}
