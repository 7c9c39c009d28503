//! A merge as a literal, and the Python code that carries it out.
//!
//! Every tensor of a plan is described by a form ([`form`]): the operation's name in Python, the tensors that it reads, its
//! parameters. Tensors of the same form are put in one group ([`groups`]), their names as patterns over layers, and the code
//! ([`code`]) is put together from the fragments in `python/` that those operations need.

mod base64;
mod code;
mod form;
mod groups;
mod literal;
mod text;

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ClassParts, CompetitionError};

pub use text::literal_text;

/// A merge in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeLiteral {
    /// The value of `RECIPE`; [`literal_text`] writes it.
    pub recipe: Value,
    /// Functions that read `RECIPE`: `model_folder(model)`, `read_tensor(model, name)`, `merged_tensors(merge)`.
    pub code: String,
    /// Import lines that the code needs.
    pub imports: BTreeSet<String>,
}

/// Works the merges out.
///
/// # Errors
/// [`CompetitionError::Models`], [`CompetitionError::Unsupported`], or a checkpoint that has become unreadable.
pub fn merge_literal(parts: &ClassParts) -> Result<MergeLiteral, CompetitionError> {
    let (recipe, used) = literal::recipe(parts)?;
    let has_adapter = parts.models.iter().any(|model| model.adapter.is_some());
    let (code, imports) = code::code(&used, has_adapter);
    Ok(MergeLiteral { recipe, code, imports })
}
