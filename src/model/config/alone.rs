//! A config without a checkpoint: which tensors there would be.

use serde_json::Value;

use super::ConfigError;
use crate::model::spec::NetworkSpec;

/// Embeddings as transformers calls them in the files it writes.
const EMBEDDINGS: [&str; 7] = [
    "model.embed_tokens.weight",
    "transformer.wte.weight",
    "transformer.word_embeddings.weight",
    "shared.weight",
    "model.shared.weight",
    "bert.embeddings.word_embeddings.weight",
    "albert.embeddings.word_embeddings.weight",
];

impl NetworkSpec {
    /// Reads a parsed `config.json` whose checkpoint is not at hand, as of one that transformers would write: with an output
    /// matrix of its own unless it is tied.
    ///
    /// # Errors
    /// As [`NetworkSpec::from_json`].
    pub fn from_config_alone(json: &Value) -> Result<Self, ConfigError> {
        let untied = json.get("tie_word_embeddings") == Some(&Value::Bool(false));
        let has = |name: &str| EMBEDDINGS.contains(&name) || (untied && name == "lm_head.weight");
        match NetworkSpec::from_json(json, &has) {
            // Not tied by default.
            Err(ConfigError::NoHead { expected }) => {
                NetworkSpec::from_json(json, &|name| has(name) || name == expected)
            }
            result => result,
        }
    }
}
