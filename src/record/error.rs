//! What can go wrong with a run folder.

use std::io;
use std::path::PathBuf;

use polars::error::PolarsError;

use super::SCHEMA_VERSION;
use crate::units::Split;

/// Why a run folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refused (no space, no permission, …).
    #[error("cannot {action} {}", path.display())]
    Io {
        /// `create`, `write`, `read`…
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A new run was to begin in a folder that has something in it.
    #[error(
        "{} exists and is not empty; continue that run with --resume, or give this one another --name",
        path.display()
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// No `manifest.json`.
    #[error("{} is not a run folder: it has no manifest.json", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// Another process writes this run.
    #[error("another process is writing the run in {}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Written by a program with another schema.
    #[error(
        "{} has schema version {found}, this program reads version {SCHEMA_VERSION}; read it with the build of merge-search {written_by} that wrote it",
        path.display()
    )]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The program version that wrote it.
        written_by: String,
    },
    /// `manifest.json` is not a manifest.
    #[error("cannot read {}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The space in the manifest is not the one the run began with.
    #[error("{}: the search space does not have the recorded sha256 {recorded}", path.display())]
    SpaceChanged {
        /// The manifest.
        path: PathBuf,
        /// Digest when the run began.
        recorded: String,
    },
    /// A parquet file is truncated or changed, or another program's.
    #[error("{} is damaged, or was not written by merge-search", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// polars cannot encode or decode a whole file.
    #[error("{} cannot be encoded or decoded as parquet", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// polars' reason.
        source: PolarsError,
    },
    /// A parquet file lacks a column, or has it with another type.
    #[error("{} has no column `{column}` of the recorded type", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A cell holds something that no writer of this schema writes.
    #[error("{}: row {row} has no valid `{column}`", path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// Counted from 0.
        row: usize,
        /// The column.
        column: String,
    },
    /// A trial's row has not all its documents in the items file.
    #[error("{}: the items of trial {trial} on {split} are missing or incomplete", path.display())]
    MissingItems {
        /// The items file.
        path: PathBuf,
        /// Whose items.
        trial: u64,
        /// On which split.
        split: Split,
    },
    /// A parquet file whose name is not one of the record's.
    #[error("{} is not a part of the record; move it elsewhere", path.display())]
    UnknownPart {
        /// The file.
        path: PathBuf,
    },
    /// A trial was scored on other tasks than the manifest names.
    #[error("trial {trial} has the tasks [{}], the run has [{}]", found.join(", "), expected.join(", "))]
    TasksDiffer {
        /// Which trial.
        trial: u64,
        /// Tasks of the run.
        expected: Vec<String>,
        /// Tasks of the trial.
        found: Vec<String>,
    },
    /// A trial has a metric that the manifest does not name for its task, or in another place.
    #[error("trial {trial} has the metrics [{}] on task `{task}`, the run has [{}]", found.join(", "), expected.join(", "))]
    MetricsDiffer {
        /// Which trial.
        trial: u64,
        /// On which task.
        task: String,
        /// Metrics besides the judged one, by the manifest.
        expected: Vec<String>,
        /// Metrics besides the judged one, of the trial.
        found: Vec<String>,
    },
    /// A trial of a part of a split names other documents than it was scored on, or some that the run does not have.
    #[error(
        "trial {trial}, rung {rung}: the documents of {split} that it names are not those it was scored on"
    )]
    DocsDiffer {
        /// Which trial.
        trial: u64,
        /// On which split.
        split: Split,
        /// Which step of its race.
        rung: u32,
    },
    /// A trial's genotype has more or fewer genes than the manifest.
    #[error("trial {trial} has {found} genes, the run has {expected}")]
    GenotypeLength {
        /// Which trial.
        trial: u64,
        /// Genes of the run.
        expected: usize,
        /// Genes of the trial.
        found: usize,
    },
    /// A gene is not of the kind that the manifest says.
    #[error("trial {trial} has a value of another kind for the gene `{gene}`")]
    GeneDiffers {
        /// Which trial.
        trial: u64,
        /// First gene that does not fit.
        gene: String,
    },
}
