//! Texts that nobody may search on, from a file.

use std::fmt;
use std::path::Path;

use serde_json::Value;

use super::digest::FilesDigest;
use super::source::{Format, read_rows};
use super::split::{Overlap, overlaps};
use super::{Place, Task, TaskError};
use crate::units::Split;

/// What a file says, row by row.
#[derive(Debug)]
pub struct ForbiddenTexts {
    texts: Vec<String>,
    places: Vec<Place>,
}

/// A document that is, or is nearly, in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct ForbiddenDoc {
    /// Where the document stands.
    pub document: Place,
    /// Where the file has it.
    pub forbidden: Place,
    /// Share of the shorter one's word n-grams that is in both, in `[0, 1]`.
    pub share: f64,
}

impl fmt::Display for ForbiddenDoc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_cent = 100.0 * self.share;
        write!(f, "{} is {per_cent:.0} % of {}", self.document, self.forbidden)
    }
}

impl ForbiddenTexts {
    /// Reads a CSV, JSON-lines or parquet file; every text of a row counts, whatever its column.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(file: &Path) -> Result<Self, TaskError> {
        let unknown = || TaskError::Format { file: file.to_owned() };
        let format = Format::of_file(file).ok_or_else(unknown)?;
        let rows = read_rows(file, format, &mut FilesDigest::default())?;
        let (mut texts, mut places) = (Vec::new(), Vec::new());
        for row in &rows {
            // Each cell by itself too: a short document has to be equal.
            let cells = row.fields.values().map(|value| text_of([value]));
            for text in cells.chain([text_of(row.fields.values())]) {
                texts.push(text);
                places.push(row.place.clone());
            }
        }
        Ok(ForbiddenTexts { texts, places })
    }

    /// The documents of a split that are in the file, or nearly.
    pub fn overlaps(&self, task: &Task, split: Split) -> Vec<ForbiddenDoc> {
        // The question alone, and with its answers.
        let contents = task.contents(split);
        let both = contents.iter().flat_map(|(query, whole, _)| [query.as_str(), whole.as_str()]);
        let documents: Vec<&str> = both.collect();
        let forbidden: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        let named = |overlap: Overlap| {
            Some(ForbiddenDoc {
                document: contents.get(overlap.document / 2)?.2.clone(),
                forbidden: self.places.get(overlap.forbidden)?.clone(),
                share: overlap.share,
            })
        };
        let mut found: Vec<ForbiddenDoc> =
            overlaps(&documents, &forbidden).into_iter().filter_map(named).collect();
        found.dedup_by(|later, first| later.document == first.document);
        found
    }
}

fn text_of<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    let mut text = String::new();
    values.into_iter().for_each(|value| append(value, &mut text));
    text
}

/// Texts inside of lists and objects too.
fn append(value: &Value, text: &mut String) {
    match value {
        Value::String(own) => {
            text.push_str(own);
            text.push('\n');
        }
        Value::Array(list) => list.iter().for_each(|value| append(value, text)),
        Value::Object(map) => map.values().for_each(|value| append(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
