use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A model as a recipe names it: `path-or-hub-id[@revision][+lora[@revision]]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelRef(String);

/// A text that names no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no model; valid: path-or-hub-id[@revision][+lora[@revision]]")]
pub struct InvalidModelRef {
    /// The text.
    pub text: String,
}

impl ModelRef {
    /// Takes the text as it is.
    ///
    /// # Errors
    /// An empty name, more than one `+`, or more than one `@` in a part: what mergekit refuses too.
    pub fn new(text: impl Into<String>) -> Result<ModelRef, InvalidModelRef> {
        let text = text.into();
        let parts: Vec<&str> = text.split('+').collect();
        if is_folder(&text) {
            return Ok(ModelRef(text));
        }
        if parts.len() <= 2 && parts.iter().all(|part| is_model(part)) {
            Ok(ModelRef(text))
        } else {
            Err(InvalidModelRef { text })
        }
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Folder or hub id, without revision and adapter.
    pub fn path(&self) -> &str {
        if is_folder(&self.0) {
            return &self.0;
        }
        let model = self.model();
        model.split_once('@').map_or(model, |(path, _)| path)
    }

    /// Branch, tag or commit.
    pub fn revision(&self) -> Option<&str> {
        if is_folder(&self.0) {
            return None;
        }
        self.model().split_once('@').map(|(_, revision)| revision)
    }

    /// The adapter, with its revision.
    pub fn lora(&self) -> Option<&str> {
        if is_folder(&self.0) {
            return None;
        }
        self.0.split_once('+').map(|(_, lora)| lora)
    }

    fn model(&self) -> &str {
        self.0.split_once('+').map_or(&self.0, |(model, _)| model)
    }
}

/// An existing folder given by its whole path may have `@` and `+` in its name (`/home/me@work/models`).
fn is_folder(text: &str) -> bool {
    text.starts_with('/') && text.contains(['@', '+']) && std::path::Path::new(text).is_dir()
}

/// `path[@revision]`, neither empty.
fn is_model(part: &str) -> bool {
    let words: Vec<&str> = part.split('@').collect();
    words.len() <= 2 && words.iter().all(|word| !word.is_empty())
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ModelRef {
    type Err = InvalidModelRef;
    fn from_str(text: &str) -> Result<ModelRef, InvalidModelRef> {
        ModelRef::new(text)
    }
}

impl<'de> Deserialize<'de> for ModelRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ModelRef, D::Error> {
        ModelRef::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
