//! What is odd about a task's documents without making it useless.

use std::fmt;

use super::source::DatasetWarning;

/// A counted oddity.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskWarning {
    /// Of rows.
    Rows(DatasetWarning),
    /// Documents that say nearly the same are kept in one split.
    NearDuplicates {
        /// All documents.
        documents: usize,
        /// Those in a group with another.
        near: usize,
        /// Those that say just what an earlier one does.
        exact: usize,
        /// Groups, single documents included.
        groups: usize,
        /// Documents of the largest.
        largest: usize,
    },
}

impl fmt::Display for TaskWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskWarning::Rows(warning) => warning.fmt(f),
            TaskWarning::NearDuplicates { documents, near, exact, groups, largest } => write!(
                f,
                "{near} of {documents} documents are near duplicates of others ({exact} of them exact); kept in one split \
                 each, they make {groups} groups, the largest of {largest}"
            ),
        }
    }
}
