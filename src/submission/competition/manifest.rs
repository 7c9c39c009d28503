//! `submission.json`: what an exported submission was made from, for those who check it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Its name in the exported folder.
pub const MANIFEST_FILE: &str = "submission.json";

/// The format that is written, and the one that is read.
pub const MANIFEST_FORMAT: u32 = 1;

/// Nothing in it changes from one export of a trial to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmissionManifest {
    /// [`MANIFEST_FORMAT`].
    pub format: u32,
    /// Version of merge-search.
    pub written_by: String,
    /// The class.
    pub class: String,
    /// What it is called on the kit's command line.
    pub method: String,
    /// Name of the run folder, and the digest of its `manifest.json`.
    pub run: String,
    /// Lower-case hexadecimal.
    pub run_sha256: String,
    /// The exported trial.
    pub trial: u64,
    /// How choices are scored.
    pub scorer: String,
    /// `float32` or `bfloat16`.
    pub dtype: String,
    /// What is merged.
    pub models: Vec<SubmittedModel>,
    /// Digest of every other file of the folder, by its path there.
    pub files: BTreeMap<String, String>,
}

/// A model that the class loads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmittedModel {
    /// Its name in the run: `base` or an expert's.
    pub name: String,
    /// `owner/name` on the hub.
    pub repository: String,
    /// Commit.
    pub revision: String,
    /// `owner/name` of an adapter on it.
    pub adapter: Option<String>,
    /// The adapter's commit.
    pub adapter_revision: Option<String>,
    /// Digest of the weights that the run read, as in its manifest.
    pub sha256: String,
}
