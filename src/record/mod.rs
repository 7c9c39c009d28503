//! What a run leaves on disk: `results/<name>/`.
//!
//! ```text
//! manifest.json                    how the run was made; written once, when it begins
//! trials/generation-00000.parquet  one row per trial and rung on the search split; generation 0 = baselines
//! trials/final-selection.parquet   … on the selection and holdout splits, and finalists scored again
//! items/<part>-<row>.parquet       the documents of that row of that part
//! timings.parquet                  what was measured of the front's candidates; written once, after the search
//! front.parquet, best.yaml, …      written over whenever they change
//! run.lock                         held by the process that writes the run
//! ```
//!
//! Every file is replaced in one step (temporary name in the same folder, fsync, rename, fsync of the folder), and a part
//! is written again after every trial, its items before it: a killed process loses what was in flight, and a row implies
//! its items. [`RunFolder`] reads, also while a search is running; [`RunWriter`] writes and keeps others from writing.
//!
//! **Versions.** [`SCHEMA_VERSION`] is in the manifest and in every parquet file's key-value metadata. A reader takes its
//! own schema version only. A key or column may be added within a version, so readers ignore those they do not know;
//! whatever a reader could misunderstand raises the version. Each parquet file also holds its own SHA-256 (`seal.rs`).
//!
//! - 1: `items` have `correct`, a boolean; runs are ranked by `geometric_mean`. A run of this version is read and resumed
//!   by the build that wrote it: its candidates are in the order of another cost.
//! - 2: `items` have `score`, a number in `[0, 1]`, and `chosen` may be empty; `trials` have `objective`, its interval and
//!   its `companion`, and `<metric>.<task>` for metrics that are not judged. Where the aggregate is the plain geometric
//!   mean, `objective` and `geometric_mean` are the same.
//! - 3: a raced trial has one row per rung: `trials` and `items` have `rung`, `trials` have `docs` (which documents of the
//!   split, by position; null: all, see `doc_ranges.rs`), and `doc` of `items` may leave documents out.
//! - 4: `trials` have `flops_per_item` and `weight_bytes`, and the kind `front`; `front.parquet` has columns of its own (see
//!   `front.rs`) and a row for each baseline, on the front or not; the manifest has `objectives` and `constraints`.
mod atomic;
mod columns;
mod doc_ranges;
mod error;
mod folder;
mod front;
mod items;
mod manifest;
mod part;
mod per_doc;
mod rows;
mod seal;
mod table;
mod transfer;
mod trial;
mod writer;

pub use crate::outcome::Estimate;
pub use error::RecordError;
pub use folder::RunFolder;
pub use front::{FrontRow, TrialTiming};
pub use manifest::{
    CheckpointEntry, DataSource, DocCounts, GeneColumn, OptimizerSettings, RecordedGene, RunBudget,
    RunManifest, SpaceFile, TaskEntry, sha256,
};
pub use part::Part;
pub use per_doc::{AnswerRow, write_answers};
pub use rows::RecordedRow;
pub use transfer::Transfer;
pub use trial::{Trial, TrialKind};
pub use writer::RunWriter;

/// Version of everything in a run folder. See the module's reader policy.
pub const SCHEMA_VERSION: u32 = 4;
