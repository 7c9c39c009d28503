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
    /// As many as the plans have.
    #[error("{published} models are published, the merge was worked out with {planned}")]
    Models {
        /// Of the class.
        published: usize,
        /// Of a plan.
        planned: usize,
    },
    /// The file has something else of the class's name.
    #[error("--class-name {name}: the file uses that name itself; end it in Merge")]
    ClassName {
        /// The name.
        name: String,
    },
}
