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

/// What tells the heads of encoders apart, likewise.
const MASKED: [&str; 2] = ["cls.predictions.transform.dense.weight", "predictions.dense.weight"];
const CLASSIFIER: [&str; 3] =
    ["classifier.weight", "bert.pooler.dense.weight", "albert.pooler.weight"];

impl NetworkSpec {
    /// Reads a parsed `config.json` whose checkpoint is not at hand, as of one that transformers would write: with an output
    /// matrix of its own unless it is tied, and an encoder with the head that `architectures` names: a classifier's, or else a
    /// masked language model's.
    ///
    /// # Errors
    /// As [`NetworkSpec::from_json`].
    pub fn from_config_alone(json: &Value) -> Result<Self, ConfigError> {
        let untied = json.get("tie_word_embeddings") == Some(&Value::Bool(false));
        let class = json.get("architectures").and_then(|classes| classes.get(0)?.as_str());
        let classifies = class.is_some_and(|class| class.ends_with("ForSequenceClassification"));
        let heads = if classifies { &CLASSIFIER[..] } else { &MASKED[..] };
        let has = |name: &str| {
            EMBEDDINGS.contains(&name)
                || heads.contains(&name)
                || (untied && name == "lm_head.weight")
        };
        match NetworkSpec::from_json(json, &has) {
            // Not tied by default.
            Err(ConfigError::NoHead { expected }) => {
                NetworkSpec::from_json(json, &|name| has(name) || name == expected)
            }
            result => result,
        }
    }
}
