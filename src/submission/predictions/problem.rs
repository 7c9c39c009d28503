//! What can be wrong with predictions.

use std::fmt;

use super::{DUMMY, HEADER};

/// One thing that is wrong with a file of predictions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Another header; nothing else was checked.
    Header {
        /// Its columns.
        found: Vec<String>,
    },
    /// A row with more or fewer fields than the header; nothing else was checked.
    Fields {
        /// Where the row begins, counted from 1.
        line: u64,
        /// How many there are.
        found: usize,
    },
    /// More or fewer rows than were asked.
    Rows {
        /// Rows of the file.
        found: usize,
        /// Rows that were asked.
        asked: usize,
    },
    /// An id that was asked and is not answered.
    Missing {
        /// The id.
        id: String,
    },
    /// An id that was not asked.
    Unknown {
        /// Where, counted from 1.
        line: u64,
        /// The id.
        id: String,
    },
    /// An id that an earlier row has.
    Twice {
        /// Where it is again, counted from 1.
        line: u64,
        /// The id.
        id: String,
    },
    /// The first row that is not where it was asked.
    Order {
        /// Where, counted from 1.
        line: u64,
        /// Its id.
        id: String,
        /// The id that was asked there.
        asked: String,
    },
    /// Something other than an index where there is something to choose from.
    NoIndex {
        /// Where, counted from 1.
        line: u64,
        /// The row's id.
        id: String,
        /// What there is.
        prediction: String,
        /// How many choices there are.
        choices: usize,
    },
    /// An index beyond the last choice.
    Range {
        /// Where, counted from 1.
        line: u64,
        /// The row's id.
        id: String,
        /// The index.
        index: usize,
        /// How many choices there are.
        choices: usize,
    },
    /// Something other than 0 in the last column.
    Dummy {
        /// Where, counted from 1.
        line: u64,
        /// The row's id.
        id: String,
        /// What there is.
        found: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Header { found } => {
                write!(f, "the header is {}; expected {}", found.join(","), HEADER.join(","))
            }
            Problem::Fields { line, found } => {
                write!(f, "line {line}: {found} fields; expected {}", HEADER.join(","))
            }
            Problem::Rows { found, asked } => write!(f, "{found} rows; expected {asked}"),
            Problem::Missing { id } => write!(f, "no prediction for the id {id:?}"),
            Problem::Unknown { line, id } => {
                write!(f, "line {line}: the id {id:?} is not in the data")
            }
            Problem::Twice { line, id } => {
                write!(f, "line {line}: the id {id:?} is there already")
            }
            Problem::Order { line, id, asked } => write!(
                f,
                "line {line}: the id {id:?}; expected {asked:?}, as the rows must keep the data's order"
            ),
            Problem::NoIndex { line, id, prediction, choices } => write!(
                f,
                "line {line}: id {id:?}: the prediction is {prediction:?}; expected the index of one of the {choices} choices"
            ),
            Problem::Range { line, id, index, choices } => write!(
                f,
                "line {line}: id {id:?}: the index {index}; expected one below {choices}, the number of choices"
            ),
            Problem::Dummy { line, id, found } => {
                write!(f, "line {line}: id {id:?}: dummy_field is {found:?}; expected {DUMMY}")
            }
        }
    }
}
