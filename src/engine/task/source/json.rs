//! JSON: one object per line, or one array of objects.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{DatasetError, Place, Row};

pub(super) fn read(file: &Path, text: &str) -> Result<Vec<Row>, DatasetError> {
    let shared: Arc<Path> = file.into();
    let rows = match text.trim_start().starts_with('[') {
        true => elements(&shared, text)?,
        false => lines(&shared, text)?,
    };
    match rows.as_slice() {
        [] => Err(DatasetError::Empty { file: file.into() }),
        [only] => refuse_wrapped(only).map(|()| rows),
        _ => Ok(rows),
    }
}

fn lines(file: &Arc<Path>, text: &str) -> Result<Vec<Row>, DatasetError> {
    let lines = text.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| row(file, index + 1, line)).collect()
}

fn row(file: &Arc<Path>, line: usize, text: &str) -> Result<Row, DatasetError> {
    let place = Place { file: Arc::clone(file), line };
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(fields) => Ok(Row { fields, place }),
        Err(source) => Err(DatasetError::Json { place, source }),
    }
}

/// A file of the kind `{"version": ..., "data": [...]}` has its rows inside, where only its author knows.
fn refuse_wrapped(row: &Row) -> Result<(), DatasetError> {
    let has_rows = |value: &Value| {
        let list = value.as_array().filter(|list| !list.is_empty());
        list.is_some_and(|list| list.iter().all(Value::is_object))
    };
    match row.fields.iter().find(|(key, value)| *key == "data" && has_rows(value)) {
        Some((key, _)) => {
            Err(DatasetError::Wrapped { place: row.place.clone(), field: key.clone() })
        }
        None => Ok(()),
    }
}

/// The rows of an array, each parsed for itself so that it has its own line.
fn elements(file: &Arc<Path>, text: &str) -> Result<Vec<Row>, DatasetError> {
    let start = text.find('[').map_or(0, |at| at + 1);
    let before = text.get(..start).unwrap_or_default();
    let mut scan =
        Scan { rest: text.get(start..).unwrap_or_default(), line: line_after(1, before) };
    let mut rows = Vec::new();
    loop {
        let Some((element, end)) = scan.element() else {
            return Err(DatasetError::ArrayEnd { file: file.as_ref().into(), line: scan.line });
        };
        let is_blank = element.trim().is_empty();
        if !(is_blank && end == b']' && rows.is_empty()) {
            let blank = element.len() - element.trim_start().len();
            let before = element.get(..blank).unwrap_or_default();
            rows.push(row(file, line_after(scan.line, before), element)?);
        }
        scan.line = line_after(scan.line, element);
        if end == b']' {
            return match scan.rest.trim().is_empty() {
                true => Ok(rows),
                false => {
                    Err(DatasetError::ArrayEnd { file: file.as_ref().into(), line: scan.line })
                }
            };
        }
    }
}

fn line_after(line: usize, text: &str) -> usize {
    line + text.bytes().filter(|byte| *byte == b'\n').count()
}

/// What is left of an array.
struct Scan<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Scan<'a> {
    /// The text up to the next comma or bracket of the array itself, and which of them it was.
    fn element(&mut self) -> Option<(&'a str, u8)> {
        let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
        for (at, byte) in self.rest.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'{' | b'[' => depth += 1,
                b',' | b']' if depth == 0 => {
                    let (element, rest) = self.rest.split_at_checked(at)?;
                    self.rest = rest.get(1..)?;
                    return Some((element, byte));
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        None
    }
}
