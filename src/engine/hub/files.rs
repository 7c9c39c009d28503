//! Which files of a repository a model or an adapter needs.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::HubError;
use super::cache::at;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const ADAPTER: &str = "adapter_model.safetensors";

/// Everything but weights; taken where the repository has it.
pub(super) const SMALL: [&str; 16] = [
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "preprocessor_config.json",
];

/// Of these, one makes a tokenizer.
const TOKENIZERS: [&str; 5] =
    ["tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json"];

/// What a repository's weights are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weights {
    /// `model.safetensors`, or the index; where there is neither, nothing.
    pub(super) model: Option<&'static str>,
    /// `adapter_model.safetensors`, if there.
    pub(super) adapter: Option<&'static str>,
}

impl Weights {
    /// A single file comes before shards, as when a checkpoint is opened.
    pub(super) fn find(has: impl Fn(&str) -> bool) -> Weights {
        Weights {
            model: [SINGLE, INDEX].into_iter().find(|name| has(name)),
            adapter: Some(ADAPTER).filter(|name| has(name)),
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.model.is_none() && self.adapter.is_none()
    }

    /// The file that lists the shards, if that is how the model is stored.
    pub(super) fn index(&self) -> Option<&'static str> {
        self.model.filter(|name| *name == INDEX)
    }
}

/// Pickled weights, which are not read.
pub(super) fn is_pickled(name: &str) -> bool {
    (name.starts_with("pytorch_model") || name.starts_with("adapter_model"))
        && name.ends_with(".bin")
}

/// The files that an index names, in order.
pub(super) fn shards(index: &Path) -> Result<BTreeSet<String>, HubError> {
    let wrong = || HubError::Index { path: index.to_owned() };
    let text = std::fs::read(index).map_err(at(index))?;
    let json: Value = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let map = json.get("weight_map").and_then(Value::as_object).ok_or_else(wrong)?;
    let plain = |file: &&str| Path::new(file).file_name().is_some_and(|name| name == *file);
    map.values()
        .map(|file| file.as_str().filter(plain).map(str::to_owned).ok_or_else(wrong))
        .collect()
}

/// A weight file that a folder lacks.
pub(super) fn missing_weights(folder: &Path) -> Result<Option<String>, HubError> {
    let has = |name: &str| folder.join(name).is_file();
    let weights = Weights::find(has);
    if weights.is_none() {
        return Ok(Some(SINGLE.to_owned()));
    }
    match weights.index() {
        None => Ok(None),
        Some(index) => Ok(shards(&folder.join(index))?.into_iter().find(|shard| !has(shard))),
    }
}

/// Whether nothing is to be expected from asking the hub for the same commit again.
pub(super) fn is_whole(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    let has_small = match Weights::find(has).model {
        Some(_) => has("config.json") && TOKENIZERS.iter().any(|name| has(name)),
        None => has("adapter_config.json"),
    };
    has_small && matches!(missing_weights(folder), Ok(None))
}
