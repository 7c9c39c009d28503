use std::io;
use std::path::PathBuf;

use polars::error::PolarsError;

use super::Place;

/// Why a dataset's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// Missing, or refused by the system.
    #[error("cannot read {}", file.display())]
    Read {
        /// Which file.
        file: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Not a file.
    #[error("{} is a folder; expected a file", file.display())]
    Folder {
        /// Which folder.
        file: PathBuf,
    },
    /// Without rows.
    #[error("{}: no rows", file.display())]
    Empty {
        /// Which file.
        file: PathBuf,
    },
    /// Bytes that are no text.
    #[error("{}:{line}: not valid UTF-8", file.display())]
    Utf8 {
        /// Which file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Named `.gz`, but not packed by gzip, or broken off.
    #[error("{}: not a whole gzip file", file.display())]
    Gzip {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
    /// Something other than a JSON object.
    #[error("{place}: expected one JSON object per line, or one array of objects")]
    Json {
        /// Where.
        place: Place,
        /// What is wrong, counted from the object's beginning.
        #[source]
        source: serde_json::Error,
    },
    /// An array that does not end, or after which something follows.
    #[error("{}:{line}: expected the array of objects to end, with nothing after it", file.display())]
    ArrayEnd {
        /// Which file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// One object around all the rows.
    #[error(
        "{place}: the rows are inside of `{field}`; expected one JSON object per line, or one array of objects"
    )]
    Wrapped {
        /// Where.
        place: Place,
        /// The field that holds them.
        field: String,
    },
    /// A column without a name.
    #[error("{place}: column {column} of the header has no name")]
    UnnamedColumn {
        /// The header.
        place: Place,
        /// Counted from 1.
        column: usize,
    },
    /// Two columns of one name.
    #[error("{place}: column `{column}` appears twice in the header")]
    ColumnTwice {
        /// The header.
        place: Place,
        /// Its name.
        column: String,
    },
    /// A record that does not fit the header.
    #[error("{place}: the record has {found} fields, the header {expected}")]
    Length {
        /// The record's first line.
        place: Place,
        /// Fields of the record.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// A quote that is not closed.
    #[error("{place}: a quote that is opened in this record is never closed")]
    OpenQuote {
        /// The record's first line.
        place: Place,
    },
    /// Another error of the CSV.
    #[error("{place}: {reason}")]
    Csv {
        /// The record's first line.
        place: Place,
        /// The reader's words.
        reason: String,
    },
    /// Not what polars reads as parquet.
    #[error("{} cannot be read as parquet", file.display())]
    Parquet {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<PolarsError>,
    },
    /// Damaged, in a way that polars does not survive.
    #[error("{} cannot be read as parquet: the file is damaged", file.display())]
    ParquetDamaged {
        /// Which file.
        file: PathBuf,
    },
    /// A type that no template can use.
    #[error(
        "{}: column `{column}` is of type {found}; readable: strings, integers of 32 or 64 bits, floats, booleans, lists, \
         structs, nulls, and binary that is UTF-8",
        file.display()
    )]
    ColumnType {
        /// Which file.
        file: PathBuf,
        /// Its name.
        column: String,
        /// Its type, or that of a part of it.
        found: String,
    },
    /// Binary values that are no text.
    #[error("{}: column `{column}` is binary, and not all of it is UTF-8", file.display())]
    Binary {
        /// Which file.
        file: PathBuf,
        /// Its name.
        column: String,
    },
    /// A CSV that is not the competition kit's.
    #[error(
        "{place}: column `{column}` is {problem}; the kit's files have id, input and eval_type, and may have target and \
         answer_choices"
    )]
    KitHeader {
        /// The header.
        place: Place,
        /// Its name.
        column: String,
        /// `missing` or `unknown`.
        problem: &'static str,
    },
    /// A field with a value that cannot be used.
    #[error("{place}: `{field}` is {found}; expected {expected}")]
    Field {
        /// The row.
        place: Place,
        /// Its name.
        field: String,
        /// What is there, `missing` where nothing is.
        found: String,
        /// What would be valid.
        expected: &'static str,
    },
}
