use std::fmt;

use super::Place;

/// What was noticed, or left out, while rows became documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetWarning {
    /// Ids that more than one row has.
    DuplicateIds {
        /// Rows whose id an earlier one has.
        count: usize,
        /// The first such id.
        id: String,
        /// Where it is first.
        first: Place,
        /// Where it is again.
        second: Place,
    },
    /// Rows left out by `where`.
    Filtered {
        /// How many.
        count: usize,
        /// The field that decides.
        field: String,
        /// The first of them.
        first: Place,
    },
    /// Rows left out because a field that is needed is null.
    Null {
        /// How many.
        count: usize,
        /// The field.
        field: String,
        /// The first of them.
        first: Place,
    },
    /// Messages whose line of parents leads to a message that is not there.
    Orphans {
        /// How many.
        count: usize,
        /// The first of them.
        first: Place,
    },
    /// Messages whose line of parents leads in a circle.
    Circles {
        /// How many.
        count: usize,
        /// The first of them.
        first: Place,
    },
    /// Replies with nothing before them.
    Unprompted {
        /// How many.
        count: usize,
        /// The first of them.
        first: Place,
    },
}

impl DatasetWarning {
    /// Rows concerned.
    pub fn count(&self) -> usize {
        match self {
            DatasetWarning::DuplicateIds { count, .. }
            | DatasetWarning::Filtered { count, .. }
            | DatasetWarning::Null { count, .. }
            | DatasetWarning::Orphans { count, .. }
            | DatasetWarning::Circles { count, .. }
            | DatasetWarning::Unprompted { count, .. } => *count,
        }
    }

    /// Where it is first.
    pub fn first(&self) -> &Place {
        match self {
            DatasetWarning::DuplicateIds { first, .. }
            | DatasetWarning::Filtered { first, .. }
            | DatasetWarning::Null { first, .. }
            | DatasetWarning::Orphans { first, .. }
            | DatasetWarning::Circles { first, .. }
            | DatasetWarning::Unprompted { first, .. } => first,
        }
    }
}

impl fmt::Display for DatasetWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, first) = (self.count(), self.first());
        match self {
            DatasetWarning::DuplicateIds { id, second, .. } => {
                write!(f, "{second}: id {id:?} is also that of line {}", first.line)?;
                if first.file != second.file {
                    write!(f, " of {}", first.file.display())?;
                }
                write!(f, " ({count} such rows)")
            }
            DatasetWarning::Filtered { field, .. } => {
                write!(f, "{first}: left out by `where` for its `{field}` ({count} such rows)")
            }
            DatasetWarning::Null { field, .. } => {
                write!(f, "{first}: left out because `{field}` is null ({count} such rows)")
            }
            DatasetWarning::Orphans { .. } => {
                write!(
                    f,
                    "{first}: left out, a message before it is missing ({count} such messages)"
                )
            }
            DatasetWarning::Circles { .. } => {
                write!(
                    f,
                    "{first}: left out, it answers itself in a circle ({count} such messages)"
                )
            }
            DatasetWarning::Unprompted { .. } => {
                write!(f, "{first}: left out, a reply to nothing ({count} such messages)")
            }
        }
    }
}
