//! The competition starter kit's own CSV: `id,input,[target,][answer_choices,]eval_type`, in any order.
//!
//! The kit reads it by pandas: `answer_choices` is a Python list in a string, and `None` or nothing where there are none.

use std::path::Path;

use serde_json::Value;

use super::super::literal;
use super::select::field_error;
use super::{DatasetError, FilesDigest, Format, Place, Row, read_rows};

const NEEDED: [&str; 3] = ["id", "input", "eval_type"];
const TARGET: &str = "target";
const CHOICES: &str = "answer_choices";

/// Reads the kit's CSV. `answer_choices` becomes a list or null, `target` text or null; where the file has no such column,
/// the field is null too.
///
/// # Errors
/// Not a CSV of the kit's, or a row whose `eval_type` is unknown or whose choices are no list of strings.
pub fn read_kit(file: &Path, digest: &mut FilesDigest) -> Result<Vec<Row>, DatasetError> {
    let mut rows = read_rows(file, Format::Csv, digest)?;
    if let Some(first) = rows.first() {
        check_header(first)?;
    }
    for row in &mut rows {
        complete(row)?;
    }
    Ok(rows)
}

fn check_header(first: &Row) -> Result<(), DatasetError> {
    let place = Place { line: 1, ..first.place.clone() };
    let names = || first.fields.keys().map(String::as_str);
    let missing = NEEDED.into_iter().find(|needed| !names().any(|name| name == *needed));
    let unknown = names().find(|name| !NEEDED.contains(name) && ![TARGET, CHOICES].contains(name));
    match (missing, unknown) {
        (None, None) => Ok(()),
        (Some(column), _) => {
            Err(DatasetError::KitHeader { place, column: column.to_owned(), problem: "missing" })
        }
        (None, Some(column)) => {
            Err(DatasetError::KitHeader { place, column: column.to_owned(), problem: "unknown" })
        }
    }
}

fn complete(row: &mut Row) -> Result<(), DatasetError> {
    let is_choice = match text(row, "eval_type") {
        "multiple_choice" => true,
        "generation" => false,
        _ => return Err(field_error(row, "eval_type", "multiple_choice or generation")),
    };
    let choices = match text(row, CHOICES) {
        "" | "None" => Value::Null,
        literal => parse_choices(literal)
            .ok_or_else(|| field_error(row, CHOICES, "a Python list of strings, or None"))?,
    };
    if is_choice && choices.is_null() {
        return Err(field_error(row, CHOICES, "a Python list of strings"));
    }
    let target = match text(row, TARGET) {
        "" => Value::Null,
        target => Value::from(target),
    };
    row.fields.insert(CHOICES.to_owned(), choices);
    row.fields.insert(TARGET.to_owned(), target);
    Ok(())
}

/// Empty where there is no such column.
fn text<'a>(row: &'a Row, field: &str) -> &'a str {
    row.fields.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn parse_choices(text: &str) -> Option<Value> {
    let value = literal::parse(text).ok()?;
    value.as_array()?.iter().all(Value::is_string).then_some(value)
}
