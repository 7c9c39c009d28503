//! Why a `config.json` cannot be used.

use serde_json::Value;

/// Why a `config.json` cannot be used.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ConfigError {
    /// The file's top level is no JSON object.
    #[error("config.json: expected an object")]
    NotAnObject,
    /// A field without which the shape is unknown.
    #[error("config.json: `{field}` is missing; expected {expected}")]
    Missing {
        /// Name of the field.
        field: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A field of the wrong kind or out of range.
    #[error("config.json: `{field}` is {value}; expected {expected}")]
    Invalid {
        /// Name of the field.
        field: String,
        /// What the file says.
        value: Value,
        /// What it should hold.
        expected: String,
    },
    /// A feature that changes the model's numbers and is not implemented.
    #[error("config.json: `{field}` = {value} is not supported; supported: {supported}")]
    Unsupported {
        /// Name of the field.
        field: String,
        /// What the file says.
        value: Value,
        /// What would be accepted.
        supported: String,
    },
    /// The checkpoint has none of the tensors that would say what its last layer is for.
    #[error("the checkpoint has no {expected}; it cannot be scored")]
    NoHead {
        /// Tensors that were looked for.
        expected: String,
    },
}
