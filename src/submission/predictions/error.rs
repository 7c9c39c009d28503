use std::io;
use std::path::PathBuf;

use super::HEADER;
use crate::task::Place;

/// Why there are no predictions.
#[derive(Debug, thiserror::Error)]
pub enum PredictionError {
    /// Two rows that ask under the same id.
    #[error(
        "{second}: the id {id:?} is that of {first} too; predictions are told apart by their ids"
    )]
    SameId {
        /// The id.
        id: String,
        /// Where it is first.
        first: Place,
        /// Where it is again.
        second: Place,
    },
    /// A row that predictions cannot be given for.
    #[error("{place}: the row has no id")]
    NoId {
        /// Which row.
        place: Place,
    },
    /// A file of predictions that cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file that must not be replaced.
    #[error("{} exists already", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// A file of predictions without a header.
    #[error("{}: the file is empty; expected a header {}", path.display(), HEADER.join(","))]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// Another header.
    #[error("{}: the header is {}; expected {}", path.display(), found.join(","), HEADER.join(","))]
    Header {
        /// Which file.
        path: PathBuf,
        /// Its columns.
        found: Vec<String>,
    },
    /// A row with more or fewer columns.
    #[error("{}:{line}: {found} fields; expected {}", path.display(), HEADER.join(","))]
    Fields {
        /// Which file.
        path: PathBuf,
        /// Where the row begins, counted from 1.
        line: u64,
        /// How many there are.
        found: usize,
    },
    /// Not a CSV file.
    #[error("{}: not a CSV file", path.display())]
    Csv {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
}
