//! A merge as a literal, and the Python code that carries it out.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ClassParts, CompetitionError};

/// A merge in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeLiteral {
    /// The value of `RECIPE`.
    pub recipe: Value,
    /// Functions that read it; `merged_tensors(recipe, merge)` among them.
    pub code: String,
    /// Import lines that the code needs.
    pub imports: BTreeSet<String>,
}

/// Works the merges out.
///
/// # Errors
/// See [`CompetitionError`].
pub fn merge_literal(_parts: &ClassParts) -> Result<MergeLiteral, CompetitionError> {
    Err(CompetitionError::Unsupported { what: "anything yet".to_owned() })
}
