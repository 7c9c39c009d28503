use std::path::PathBuf;

use super::InvalidModelRef;

/// Why a text is not a recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// Not YAML, or not of the right shape; the message has the line, the key and what is valid.
    #[error("{message}")]
    Yaml {
        /// serde-saphyr's message with the offending line.
        message: String,
    },
    /// Not exactly one layout.
    #[error("exactly one of `models`, `slices` and `modules` is needed, found {found}")]
    Layout {
        /// `none of them` or `more than one`.
        found: &'static str,
    },
    /// A module without or with two layouts.
    #[error("module `{module}` needs exactly one of `models` and `slices`, found {found}")]
    ModuleBody {
        /// The module.
        module: String,
        /// `both` or `neither`.
        found: &'static str,
    },
    /// A key of mergekit that merge-search does not have.
    #[error("`{key}` is not supported; {instead}")]
    Unsupported {
        /// The key.
        key: &'static str,
        /// What to write in its place.
        instead: &'static str,
    },
    /// An entry that is only read at the top level stands elsewhere.
    #[error("`{key}` belongs in the top-level `parameters`, found in the parameters of {place}")]
    Misplaced {
        /// The key.
        key: &'static str,
        /// Where it stood.
        place: String,
    },
    /// `models`, `slices` or `sources` without an entry.
    #[error("`{key}` is an empty list")]
    Empty {
        /// The key.
        key: &'static str,
    },
    /// `[start, end]` with `start >= end`.
    #[error(
        "layer_range [{start}, {end}] of `{model}` is empty; it means start..end, end excluded"
    )]
    EmptyRange {
        /// The model of the source.
        model: String,
        /// First layer.
        start: usize,
        /// One past the last layer.
        end: usize,
    },
    /// A value of a router or of prompts that cannot be meant.
    #[error("`{key}` is {found}; valid: {valid}")]
    Routing {
        /// The key, with those that it stands below.
        key: &'static str,
        /// What was found.
        found: String,
        /// What would be valid.
        valid: String,
    },
    /// A model's name.
    #[error(transparent)]
    Model(#[from] InvalidModelRef),
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file's text is not a recipe.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<RecipeError>,
    },
}
