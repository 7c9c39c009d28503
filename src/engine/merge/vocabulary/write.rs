//! The output's tokenizer, as files.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::model_tokenizer::invalid;
use super::settings::{ADDED_BY_ID, CONFIG, SPECIAL_TOKENS, read_json};
use super::{Vocabulary, VocabularyError};

/// Copied from the model that the tokenizer is made of, as they are.
const COPIED: [&str; 2] = [SPECIAL_TOKENS, "chat_template.jinja"];

impl Vocabulary {
    /// Writes `tokenizer.json` and `tokenizer_config.json`, and the special tokens and chat template of the model that
    /// the tokenizer is made of (the base for a union). Files of older formats (`tokenizer.model`, `vocab.json`,
    /// `merges.txt`, `added_tokens.json`) would have the old vocabulary, and are not written.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn write(&self, dir: &Path) -> Result<(), VocabularyError> {
        let source = &self.output.dir;
        let text = self.output.tokenizer.to_string(true).map_err(invalid(source))?;
        put(&dir.join("tokenizer.json"), &text)?;
        let config: Option<Map<String, Value>> = read_json(&source.join(CONFIG))?;
        if let Some(mut config) = config {
            // The old vocabulary's; `tokenizer.json` has them too, and is read where the settings have none.
            config.shift_remove(ADDED_BY_ID);
            put(&dir.join(CONFIG), &format!("{:#}\n", Value::Object(config)))?;
        }
        for name in COPIED {
            let (from, to) = (source.join(name), dir.join(name));
            if from.is_file() {
                fs::copy(&from, &to)
                    .map_err(|source| VocabularyError::Write { path: to, source })?;
            }
        }
        Ok(())
    }
}

pub(super) fn put(path: &Path, text: &str) -> Result<(), VocabularyError> {
    fs::write(path, text).map_err(|source| VocabularyError::Write { path: path.to_owned(), source })
}
