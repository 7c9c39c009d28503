use crate::checkpoint::CheckpointError;
use crate::merge::MergeError;

/// Why a submission cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CompetitionError {
    /// A checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The recipe does not fit the checkpoints.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The recipe has something that the exported class does not do.
    #[error("the exported class does not do {what}")]
    Unsupported {
        /// What it is.
        what: String,
    },
}
