//! A tokenizer and what else scoring needs to know of how it is used.

use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use super::open::{OpenError, open_tokenizer};

/// Classes of transformers' tokenizers that heed `add_bos_token` and `add_eos_token` when they are set on an open tokenizer, as
/// the starter kit does; the others keep the post-processor of their file.
const HEED_EOS: [&str; 8] = [
    "LlamaTokenizer",
    "LlamaTokenizerFast",
    "CodeLlamaTokenizer",
    "CodeLlamaTokenizerFast",
    "GemmaTokenizer",
    "GemmaTokenizerFast",
    "CohereTokenizer",
    "CohereTokenizerFast",
];

/// A tokenizer with the settings that `tokenizer.json` does not have.
#[derive(Debug, Clone)]
pub struct TaskTokenizer {
    tokenizer: Tokenizer,
    /// Whether the starter kit's choices end with the end-of-sequence token instead of what the tokenizer's own
    /// post-processor adds.
    kit_adds_eos: bool,
    eos: Option<u32>,
}

impl From<Tokenizer> for TaskTokenizer {
    /// Without settings: the post-processor decides.
    fn from(tokenizer: Tokenizer) -> Self {
        TaskTokenizer { tokenizer, kit_adds_eos: false, eos: None }
    }
}

impl TaskTokenizer {
    /// The tokenizer of a checkpoint's folder.
    ///
    /// # Errors
    /// [`OpenError::Tokenizer`].
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        TaskTokenizer::with_settings(open_tokenizer(folder)?, folder)
    }

    /// `tokenizer` with the settings in `folder`'s `tokenizer_config.json`, where there is one.
    ///
    /// # Errors
    /// [`OpenError::Tokenizer`].
    pub fn with_settings(tokenizer: Tokenizer, folder: &Path) -> Result<Self, OpenError> {
        let file = folder.join("tokenizer_config.json");
        if !file.is_file() {
            return Ok(tokenizer.into());
        }
        let unusable = |reason: String| OpenError::Tokenizer { file: file.clone(), reason };
        let text = std::fs::read(&file).map_err(|error| unusable(error.to_string()))?;
        let settings: Value =
            serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
        let class = settings.get("tokenizer_class").and_then(Value::as_str);
        let eos =
            settings.get("eos_token").and_then(content).and_then(|t| tokenizer.token_to_id(t));
        let kit_adds_eos = class.is_some_and(|class| HEED_EOS.contains(&class));
        Ok(TaskTokenizer { tokenizer, kit_adds_eos, eos })
    }

    /// Texts to tokens.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The end-of-sequence token by the tokenizer's settings.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Whether the starter kit ends each choice with [`Self::eos`].
    pub(super) fn kit_adds_eos(&self) -> bool {
        self.kit_adds_eos
    }
}

/// A special token: its text, or an object that has it.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}
