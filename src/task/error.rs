use std::path::PathBuf;

/// Why a task folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A file is missing or cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Bytes that are no text.
    #[error("{path}: not valid UTF-8 (line {line})")]
    Utf8 {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// `task.toml` is not TOML, or has an unknown, missing or mistyped key.
    #[error("{path}: {source}")]
    Toml {
        /// Which file.
        path: PathBuf,
        /// Key, place and what is valid.
        source: Box<toml::de::Error>,
    },
    /// A key of `task.toml` with a value that cannot be used.
    #[error("{path}: `{key}` is {value}; expected {expected}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// Name of the key.
        key: &'static str,
        /// What the file says.
        value: String,
        /// What would be valid.
        expected: &'static str,
    },
    /// `doc_to_text` is not a template that Jinja can read.
    #[error("{path}: `doc_to_text` is not a valid template")]
    Template {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: Box<minijinja::Error>,
    },
    /// A split without documents.
    #[error("{path}: no documents; expected one JSON object per line")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// A line that is no JSON object.
    #[error("{path}:{line}: expected a JSON object")]
    Json {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// The template does not fit the document.
    #[error(
        "{path}:{line}: `doc_to_text` cannot be rendered; the document has the fields {fields}"
    )]
    Render {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What there is.
        fields: String,
        /// What is wrong.
        #[source]
        source: Box<minijinja::Error>,
    },
    /// A field that a task key names is missing or of the wrong kind.
    #[error("{path}:{line}: `{field}` (named by `{key}`) is {value}; expected {expected}")]
    Field {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key of `task.toml`.
        key: &'static str,
        /// The document's field.
        field: String,
        /// What the document says.
        value: String,
        /// What would be valid.
        expected: String,
    },
    /// Two answers read the same, so that none can be told right.
    #[error("{path}:{line}: choice {choice:?} appears twice")]
    SameChoices {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The repeated answer.
        choice: String,
    },
    /// A document that would be measured on two splits.
    #[error(
        "{path}: the same document is in split {first} (line {first_line}) and in split {second} (line {second_line})"
    )]
    Shared {
        /// The task file.
        path: PathBuf,
        /// The earlier split.
        first: crate::units::Split,
        /// Its line, from 1.
        first_line: usize,
        /// The later split.
        second: crate::units::Split,
        /// Its line, from 1.
        second_line: usize,
    },
}
