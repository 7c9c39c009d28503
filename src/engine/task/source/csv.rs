//! CSV as RFC 4180 has it: quotes around fields with commas, newlines or (doubled) quotes.

use std::path::Path;
use std::sync::Arc;

use ::csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use serde_json::{Map, Value};

use super::{DatasetError, Place, Row, inner_extension};

pub(super) fn read(file: &Path, text: &str) -> Result<Vec<Row>, DatasetError> {
    let is_tsv = inner_extension(file).is_some_and(|extension| extension == "tsv");
    let delimiter = if is_tsv { b'\t' } else { b',' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let mut records = Records { file: file.into(), text, reached: 0, line: 1 };
    let names = header(&mut reader, &mut records)?;
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    loop {
        let start = reader.position().byte();
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(records.error(start, &names, &error)),
        }
        let place = records.place(start);
        rows.push(Row { fields: fields(&names, &record), place });
    }
    records.require_closed_quotes(delimiter, rows.last())?;
    if rows.is_empty() { Err(DatasetError::Empty { file: file.into() }) } else { Ok(rows) }
}

fn header(
    reader: &mut Reader<&[u8]>,
    records: &mut Records<'_>,
) -> Result<Vec<String>, DatasetError> {
    let header = reader.headers().map_err(|error| records.error(0, &[], &error))?;
    let names: Vec<String> = header.iter().map(str::to_owned).collect();
    let place = records.place(0);
    for (index, name) in names.iter().enumerate() {
        let column = index + 1;
        if name.trim().is_empty() {
            return Err(DatasetError::UnnamedColumn { place, column });
        }
        if names.iter().take(index).any(|other| other == name) {
            return Err(DatasetError::ColumnTwice { place, column: name.clone() });
        }
    }
    Ok(names)
}

fn fields(names: &[String], record: &StringRecord) -> Map<String, Value> {
    let values = record.iter().map(|value| Value::String(value.to_owned()));
    names.iter().cloned().zip(values).collect()
}

/// Lines of records. The crate's own count is that of the end of the record before.
struct Records<'a> {
    file: Arc<Path>,
    text: &'a str,
    /// Bytes, up to the last record asked for.
    reached: usize,
    /// Of that record.
    line: usize,
}

impl Records<'_> {
    /// Of the record that begins at or after a byte; asked for in the text's order.
    fn place(&mut self, byte: u64) -> Place {
        let text = self.text.as_bytes();
        let mut start = usize::try_from(byte).unwrap_or(usize::MAX);
        while matches!(text.get(start), Some(b'\r' | b'\n')) {
            start += 1;
        }
        let passed = text.get(self.reached..start).unwrap_or_default();
        let next = text.get(start).copied();
        // A line ends at \n, at \r\n, or at \r alone, as for the crate.
        let followed = passed.iter().skip(1).copied().map(Some).chain([next]);
        let ends = passed
            .iter()
            .zip(followed)
            .filter(|(byte, next)| **byte == b'\n' || (**byte == b'\r' && *next != Some(b'\n')));
        self.line += ends.count();
        self.reached = self.reached.max(start);
        Place { file: Arc::clone(&self.file), line: self.line }
    }

    fn error(&mut self, byte: u64, names: &[String], error: &::csv::Error) -> DatasetError {
        let place = self.place(byte);
        match error.kind() {
            ErrorKind::UnequalLengths { len, .. } => {
                DatasetError::Length { place, found: *len as usize, expected: names.len() }
            }
            _ => DatasetError::Csv { place, reason: error.to_string() },
        }
    }

    /// The crate ends a field whose closing quote is missing with the file.
    fn require_closed_quotes(&self, delimiter: u8, last: Option<&Row>) -> Result<(), DatasetError> {
        let record = self.text.as_bytes().get(self.reached..).unwrap_or_default();
        match last {
            Some(row) if ends_quoted(record, delimiter) => {
                Err(DatasetError::OpenQuote { place: row.place.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a record ends between the quotes of a field.
fn ends_quoted(record: &[u8], delimiter: u8) -> bool {
    let (mut quoted, mut at_start) = (false, true);
    let mut bytes = record.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&b'"') => {
                bytes.next();
            }
            b'"' if quoted => quoted = false,
            b'"' if at_start => quoted = true,
            _ => {}
        }
        at_start = !quoted && byte == delimiter;
    }
    quoted
}
