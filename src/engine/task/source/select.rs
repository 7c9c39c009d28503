//! Rows chosen and compared by a field.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value;

use super::{DatasetError, DatasetWarning, Row};

/// Longest value in a message, in characters.
const SHOWN: usize = 60;

/// Keeps the rows whose `field` has one of the `values`, and says how many it does not.
///
/// # Errors
/// A row without the field.
pub fn keep(
    rows: Vec<Row>,
    field: &str,
    values: &[String],
) -> Result<(Vec<Row>, Option<DatasetWarning>), DatasetError> {
    let (mut kept, mut count, mut first) = (Vec::new(), 0, None);
    for row in rows {
        let value = row.fields.get(field).ok_or_else(|| field_error(&row, field, "a field"))?;
        if values.contains(&plain(value)) {
            kept.push(row);
        } else {
            count += 1;
            first.get_or_insert(row.place);
        }
    }
    let field = field.to_owned();
    Ok((kept, first.map(|first| DatasetWarning::Filtered { count, field, first })))
}

/// Ids that more than one row has.
///
/// # Errors
/// A row without the field.
pub fn duplicate_ids(rows: &[Row], field: &str) -> Result<Option<DatasetWarning>, DatasetError> {
    let mut seen = HashMap::new();
    let (mut count, mut pair) = (0, None);
    for row in rows {
        let id = row.fields.get(field).filter(|id| !id.is_null());
        let id = plain(id.ok_or_else(|| field_error(row, field, "an id"))?);
        match seen.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(row);
            }
            Entry::Occupied(entry) => {
                count += 1;
                pair.get_or_insert_with(|| (entry.key().clone(), *entry.get(), row));
            }
        }
    }
    Ok(pair.map(|(id, first, second)| {
        let (first, second) = (first.place.clone(), second.place.clone());
        DatasetWarning::DuplicateIds { count, id, first, second }
    }))
}

/// Text as it is, other values as JSON writes them.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The error for a field that is missing or of the wrong kind.
pub(super) fn field_error(row: &Row, field: &str, expected: &'static str) -> DatasetError {
    let found = row.fields.get(field).map_or("missing".to_owned(), Value::to_string);
    let mut shown: String = found.chars().take(SHOWN).collect();
    if shown.len() < found.len() {
        shown.push('…');
    }
    DatasetError::Field {
        place: row.place.clone(),
        field: field.to_owned(),
        found: shown,
        expected,
    }
}
