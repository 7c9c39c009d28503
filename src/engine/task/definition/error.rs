//! Why a task file cannot be used.

use std::fmt;
use std::path::PathBuf;

use crate::task::digest::TextError;
use crate::task::metric::MetricError;
use crate::task::template::TemplateError;

/// A file, and the line of a key where the key is found in it as it is usually written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPlace {
    /// The task file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: Option<usize>,
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// Why a task file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The file is missing, cannot be read or is no text.
    #[error("{}: {source}", path.display())]
    Text {
        /// Which file.
        path: PathBuf,
        /// The reason.
        source: TextError,
    },
    /// Neither TOML nor YAML by its name.
    #[error("{}: not a task file; expected `task.toml`, or lm-eval's `*.yaml` or `*.yml`", path.display())]
    Kind {
        /// Which file.
        path: PathBuf,
    },
    /// The file is not TOML.
    #[error("{}: {source}", path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// The file is not YAML, or not a mapping.
    #[error("{}: {message}", path.display())]
    Yaml {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A key that no task file has.
    #[error("{place}: unknown key `{key}`{}; valid are {valid}", meant(closest))]
    UnknownKey {
        /// Where.
        place: KeyPlace,
        /// The key, with the names of the tables around it.
        key: String,
        /// The valid key it is a near miss of.
        closest: Option<String>,
        /// All the valid keys.
        valid: String,
    },
    /// A key of lm-eval's that cannot be honoured here.
    #[error("{place}: `{key}` is {value}, which is not supported: {reason}")]
    Unsupported {
        /// Where.
        place: KeyPlace,
        /// The key.
        key: String,
        /// What the file says.
        value: String,
        /// Why, and what to do instead.
        reason: &'static str,
    },
    /// A key that must be there.
    #[error("{place}: `{key}` is missing; expected {expected}")]
    Missing {
        /// Where.
        place: KeyPlace,
        /// The key.
        key: String,
        /// What would be valid.
        expected: String,
    },
    /// A value that cannot be used.
    #[error("{place}: `{key}` is {value}; expected {expected}")]
    Value {
        /// Where.
        place: KeyPlace,
        /// The key.
        key: String,
        /// What the file says.
        value: String,
        /// What would be valid.
        expected: String,
    },
    /// Two keys of which only one can count.
    #[error("{place}: `{key}` and `{other}` cannot both be given")]
    Both {
        /// Where.
        place: KeyPlace,
        /// One key.
        key: String,
        /// The other.
        other: String,
    },
    /// A key that does not go with the task's output type.
    #[error("{place}: `{key}` does not go with `output_type = \"{output_type}\"`")]
    OutputType {
        /// Where.
        place: KeyPlace,
        /// The key.
        key: String,
        /// The task's output type.
        output_type: &'static str,
    },
    /// A template that Jinja cannot read.
    #[error("{place}: `{key}` is not a valid template: {source}")]
    Template {
        /// Where.
        place: KeyPlace,
        /// The key.
        key: String,
        /// What is wrong, and where in the template.
        source: Box<TemplateError>,
    },
    /// A metric or a filter, or one of its options, that there is not.
    #[error("{place}: `{key}`: {source}")]
    Metric {
        /// Where.
        place: KeyPlace,
        /// The key.
        key: String,
        /// What is wrong.
        source: Box<MetricError>,
    },
}

fn meant(closest: &Option<String>) -> String {
    closest.as_ref().map_or_else(String::new, |key| format!(" (did you mean `{key}`?)"))
}
