//! Rows of a dataset's files, before any of it is a document.
//!
//! A row is what a template sees: fields with JSON values, and the place it was read at. Nothing is repaired on the way:
//! a file that cannot be read as it is gives a [`DatasetError`] with file and line; what is left out on purpose is counted
//! in a [`DatasetWarning`].
mod conversation;
mod csv;
mod error;
mod json;
mod kit;
mod parquet;
mod select;
mod text;
mod warning;

use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Map, Value};

use super::digest::FilesDigest;
use super::place::Place;

pub use conversation::Conversation;
pub use error::DatasetError;
pub use kit::read_kit;
pub use select::{duplicate_ids, keep};
pub use warning::DatasetWarning;

/// One row of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// In the file's order.
    pub fields: Map<String, Value>,
    /// Where it was read.
    pub place: Place,
}

/// How rows are written; the words of lm-eval's `dataset_path`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line, or one array of objects.
    Json,
    /// Values separated by commas (or by tabs in `.tsv`), with a header; every value is text.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// By a name's ending, without `.gz`.
    pub fn of_file(file: &Path) -> Option<Format> {
        match inner_extension(file)?.to_str()? {
            "json" | "jsonl" | "ndjson" => Some(Format::Json),
            "csv" | "tsv" => Some(Format::Csv),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }

    /// By lm-eval's word for a local dataset.
    pub fn named(word: &str) -> Option<Format> {
        match word {
            "json" => Some(Format::Json),
            "csv" => Some(Format::Csv),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }
}

/// The extension before `.gz`, or the last one.
fn inner_extension(file: &Path) -> Option<&OsStr> {
    match file.extension() {
        Some(extension) if extension == "gz" => Path::new(file.file_stem()?).extension(),
        extension => extension,
    }
}

/// Reads all rows of a file and adds the file to the digest. A name that ends in `.gz` is unpacked.
///
/// # Errors
/// The file is missing, a folder, empty, no text, or not of this format; see [`DatasetError`].
pub fn read_rows(
    file: &Path,
    format: Format,
    digest: &mut FilesDigest,
) -> Result<Vec<Row>, DatasetError> {
    let bytes = text::read_bytes(file, digest)?;
    match format {
        Format::Json => json::read(file, &text::decode(file, bytes)?),
        Format::Csv => csv::read(file, &text::decode(file, bytes)?),
        Format::Parquet => parquet::read(file, bytes),
    }
}
