//! What can be wrong with a search-space file.

use std::path::PathBuf;

/// An unusable search space. Every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// The file could not be read.
    #[error("cannot read search space {file}")]
    Read {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, a key that does not exist, a missing key, or a value of the wrong type.
    #[error("{file}: {message}")]
    Syntax { file: PathBuf, message: String },
    /// A value that cannot be meant.
    #[error("{file}: key `{key}` is {value}; valid: {valid}")]
    Value { file: PathBuf, key: String, value: String, valid: String },
}

/// Names the file in the errors of one check.
pub(super) struct Blame<'a>(pub &'a std::path::Path);

impl Blame<'_> {
    /// An impossible value: key, what was found, what would be valid.
    pub fn value(&self, key: &str, value: impl ToString, valid: impl Into<String>) -> SpaceError {
        SpaceError::Value {
            file: self.0.to_owned(),
            key: key.to_owned(),
            value: value.to_string(),
            valid: valid.into(),
        }
    }
}
