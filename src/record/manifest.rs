//! `manifest.json`: how a run was made, complete enough to make it again.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::atomic::{io_error, replace};
use super::{RecordError, SCHEMA_VERSION};
use crate::genome::{Dimension, Domain, Gene};
use crate::objective::{Aggregate, Constraints};
use crate::race::Racing;
use crate::units::{Seed, Split};

/// Written once, when a run begins. Unknown keys are ignored on reading (see [`super`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunManifest {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Version of merge-search that began the run.
    pub written_by: String,
    /// When, as RFC 3339 in UTC.
    pub created_at: String,
    /// The command as typed, program name first.
    pub command_line: Vec<String>,
    /// Seed of the run.
    pub seed: Seed,
    /// What was searched.
    pub space: SpaceFile,
    /// One per gene, in the genotype's order; the columns `gene.<name>`.
    pub genes: Vec<GeneColumn>,
    /// How it was searched.
    pub optimizer: OptimizerSettings,
    /// How long.
    pub budget: RunBudget,
    /// In the order of the search space; the columns `accuracy.<name>` and `<metric>.<name>`.
    pub tasks: Vec<TaskEntry>,
    /// What the tasks' scores are made into; the column `objective`.
    pub objective: Aggregate,
    /// The axes of the front: `accuracy`, then `time` and `memory` where they count.
    pub objectives: Vec<String>,
    /// What a candidate may cost.
    pub constraints: Constraints,
    /// Whether the optimizer saw candidates of equal `objective` in the order of `companion`, where it could.
    pub tie_break: bool,
    /// Base model first, then the experts.
    pub checkpoints: Vec<CheckpointEntry>,
    /// `cpu`, `cuda:0`, …
    pub device: String,
}

/// The search space file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceFile {
    /// Where it lay; relative paths in it are taken from there.
    pub path: String,
    /// The whole file.
    pub text: String,
    /// Lower-case hexadecimal digest of `text`.
    pub sha256: String,
}

impl SpaceFile {
    /// With its digest.
    pub fn new(path: String, text: String) -> Self {
        let sha256 = sha256(&text);
        SpaceFile { path, text, sha256 }
    }
}

/// Name and domain of a gene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeneColumn {
    /// As in `gene.<name>`.
    pub name: String,
    /// Its values: a number column, a whole-number column, or a column of words.
    #[serde(with = "RecordedDomain")]
    pub domain: Domain,
}

impl From<&Dimension> for GeneColumn {
    fn from(dimension: &Dimension) -> Self {
        GeneColumn { name: dimension.name.clone(), domain: dimension.domain.clone() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Domain", rename_all = "lowercase")]
enum RecordedDomain {
    Continuous { low: f64, high: f64 },
    Integer { low: i64, high: i64 },
    Categorical { choices: Vec<String> },
}

/// Which optimizer, and all it was told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OptimizerSettings {
    /// As given to `--optimizer`.
    pub kind: String,
    /// Candidates per generation.
    pub population: u64,
    /// Initial step size, in units of each gene's width; `None` for optimizers without.
    pub sigma: Option<f64>,
    /// Candidates scored at the same time.
    pub workers: u64,
    /// `full`, `diagonal` or `low-rank`.
    #[serde(default)]
    pub covariance: String,
    /// `none`, `ipop` or `bipop`.
    #[serde(default)]
    pub restarts: String,
    /// Whether the worse half of a generation counted too.
    #[serde(default)]
    pub active: bool,
    /// Whether genes were tied at first.
    #[serde(default)]
    pub coarse_to_fine: bool,
    /// Where the search started, gene by gene, so that the files it came from need not stay.
    #[serde(default)]
    pub warm_start: Vec<Vec<RecordedGene>>,
    /// Whether a model of the costs made recommendations too.
    #[serde(default)]
    pub surrogate: bool,
    /// How candidates of a generation raced each other; `None`: each was scored on the whole search split.
    pub racing: Option<Racing>,
}

/// A gene's value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordedGene {
    /// Of a continuous gene.
    Real(f64),
    /// Of an integer gene.
    Integer(i64),
    /// Index into the choices of a categorical gene.
    Category(usize),
}

impl From<Gene> for RecordedGene {
    fn from(gene: Gene) -> Self {
        match gene {
            Gene::Real(x) => Self::Real(x),
            Gene::Integer(z) => Self::Integer(z),
            Gene::Category(c) => Self::Category(c),
        }
    }
}

impl From<RecordedGene> for Gene {
    fn from(gene: RecordedGene) -> Self {
        match gene {
            RecordedGene::Real(x) => Self::Real(x),
            RecordedGene::Integer(z) => Self::Integer(z),
            RecordedGene::Category(c) => Self::Category(c),
        }
    }
}

/// When the search stops: at the first that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RunBudget {
    /// Wall-clock seconds over all sessions.
    pub seconds: Option<f64>,
    /// Trials on the search split.
    pub trials: Option<u64>,
}

/// A task and its documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEntry {
    /// As in its `task.toml`.
    pub name: String,
    /// Its judged metric; the column `accuracy.<name>`.
    pub metric: String,
    /// Its other metrics; the columns `<metric>.<name>`.
    pub others: Vec<String>,
    /// Digest of its documents.
    pub sha256: String,
    /// Where the documents come from.
    #[serde(default)]
    pub source: DataSource,
    /// Number of documents per split.
    pub docs: DocCounts,
}

/// Where a task's documents come from, for the rules of a competition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSource {
    /// The hub's id of the dataset; absent for files of the user's.
    pub dataset: Option<String>,
    /// The commit that was read.
    pub commit: Option<String>,
    /// The dataset's split whose documents were dealt.
    pub split: Option<String>,
    /// Of the documents, as an SPDX expression, by the task file.
    pub license: Option<String>,
    /// What made the documents, by the task file.
    pub generated_by: Option<String>,
}

/// Documents of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocCounts {
    /// In the search split.
    pub search: u64,
    /// In the selection split.
    pub selection: u64,
    /// In the holdout split.
    pub holdout: u64,
}

impl DocCounts {
    /// In one of the splits.
    pub fn of(&self, split: Split) -> u64 {
        match split {
            Split::Search => self.search,
            Split::Selection => self.selection,
            Split::Holdout => self.holdout,
        }
    }
}

/// A checkpoint that recipes refer to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointEntry {
    /// As in the search space.
    pub name: String,
    /// Digest of its weights.
    pub sha256: String,
}

/// The part of a manifest that every schema version has.
#[derive(Deserialize)]
struct ManifestHead {
    schema_version: u32,
    written_by: String,
}

pub(super) const MANIFEST: &str = "manifest.json";

impl RunManifest {
    pub(super) fn write(&self, run: &Path) -> Result<(), RecordError> {
        let path = run.join(MANIFEST);
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| RecordError::Manifest { path: path.clone(), source })?;
        replace(&path, (text + "\n").as_bytes())
    }

    pub(super) fn read(run: &Path) -> Result<Self, RecordError> {
        let path = run.join(MANIFEST);
        match fs::read_to_string(&path) {
            Ok(text) => parse(&text, &path),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(RecordError::NotARun { path: run.to_owned() })
            }
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Number of documents of `split`, by task.
    pub fn docs(&self, split: Split) -> Vec<u64> {
        self.tasks.iter().map(|task| task.docs.of(split)).collect()
    }

    /// Names of the tasks, in order.
    pub fn task_names(&self) -> impl Iterator<Item = &str> {
        self.tasks.iter().map(|task| task.name.as_str())
    }
}

fn parse(text: &str, path: &Path) -> Result<RunManifest, RecordError> {
    let invalid = |source| RecordError::Manifest { path: path.to_owned(), source };
    // Before the rest, which another version may have changed.
    let head: ManifestHead = serde_json::from_str(text).map_err(invalid)?;
    if head.schema_version != SCHEMA_VERSION {
        return Err(RecordError::SchemaVersion {
            path: path.to_owned(),
            found: head.schema_version.to_string(),
            written_by: head.written_by,
        });
    }
    let manifest: RunManifest = serde_json::from_str(text).map_err(invalid)?;
    if sha256(&manifest.space.text) != manifest.space.sha256 {
        return Err(RecordError::SpaceChanged {
            path: path.to_owned(),
            recorded: manifest.space.sha256,
        });
    }
    Ok(manifest)
}

/// Lower-case hexadecimal.
pub fn sha256(content: impl AsRef<[u8]>) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
