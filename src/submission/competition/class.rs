use super::{ClassParts, CompetitionError, merge_literal};

/// The whole Python file.
///
/// # Errors
/// See [`CompetitionError`].
pub fn class_file(parts: &ClassParts) -> Result<String, CompetitionError> {
    Ok(merge_literal(parts)?.code)
}
