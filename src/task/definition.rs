//! `task.toml`: raw as written, then checked.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::digest::FilesDigest;
use super::error::TaskError;
use crate::units::Split;

/// How an answer is chosen; lm-eval's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The greatest sum of token log-probabilities.
    Acc,
    /// The greatest sum divided by the choice's number of characters.
    AccNorm,
}

impl Metric {
    /// As in `task.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::Acc => "acc",
            Metric::AccNorm => "acc_norm",
        }
    }
}

/// How a document is put to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutputType {
    MultipleChoice,
}

/// File names of the splits, relative to the task's folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitFiles {
    search: String,
    selection: String,
    holdout: String,
}

impl SplitFiles {
    pub fn file(&self, split: Split) -> &str {
        match split {
            Split::Search => &self.search,
            Split::Selection => &self.selection,
            Split::Holdout => &self.holdout,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDefinition {
    task: String,
    #[serde(default)]
    description: String,
    #[serde(rename = "output_type")]
    _output_type: OutputType,
    doc_to_text: String,
    doc_to_choice: toml::Value,
    doc_to_target: String,
    #[serde(default = "one_blank")]
    target_delimiter: String,
    metric: Metric,
    #[serde(default)]
    add_bos_token: bool,
    license: Option<String>,
    splits: SplitFiles,
}

fn one_blank() -> String {
    " ".to_owned()
}

/// Where a document's answers come from.
pub enum Choices {
    /// The field that lists them.
    Field(String),
    /// The same for every document.
    Fixed(Vec<String>),
}

/// A `task.toml` whose keys are all known and typed.
pub struct Definition {
    pub path: PathBuf,
    pub task: String,
    pub description: String,
    pub doc_to_text: String,
    pub doc_to_choice: Choices,
    pub doc_to_target: String,
    pub target_delimiter: String,
    pub metric: Metric,
    pub add_bos_token: bool,
    pub license: Option<String>,
    pub splits: SplitFiles,
}

/// Reads a file as text, adding it to the digest.
pub fn read_text(path: &Path, digest: &mut FilesDigest) -> Result<String, TaskError> {
    let bytes = fs::read(path).map_err(|source| TaskError::Read { path: path.into(), source })?;
    digest.add(&bytes);
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
        TaskError::Utf8 { path: path.into(), line }
    })
}

pub fn read(path: &Path) -> Result<(Definition, FilesDigest), TaskError> {
    let mut digest = FilesDigest::default();
    let text = read_text(path, &mut digest)?;
    let raw: RawDefinition = toml::from_str(&text)
        .map_err(|source| TaskError::Toml { path: path.into(), source: Box::new(source) })?;
    let definition = Definition {
        doc_to_choice: choices(path, &raw.doc_to_choice)?,
        path: path.into(),
        task: raw.task,
        description: raw.description,
        doc_to_text: raw.doc_to_text,
        doc_to_target: raw.doc_to_target,
        target_delimiter: raw.target_delimiter,
        metric: raw.metric,
        add_bos_token: raw.add_bos_token,
        license: raw.license,
        splits: raw.splits,
    };
    Ok((definition, digest))
}

fn choices(path: &Path, value: &toml::Value) -> Result<Choices, TaskError> {
    let fixed = || {
        value
            .as_array()?
            .iter()
            .map(|choice| choice.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
    };
    match (value.as_str(), fixed()) {
        (Some(field), _) => Ok(Choices::Field(field.to_owned())),
        (None, Some(list)) => Ok(Choices::Fixed(list)),
        (None, None) => Err(TaskError::Key {
            path: path.into(),
            key: "doc_to_choice",
            value: value.to_string(),
            expected: "the name of a field that holds a list of strings, or a list of strings",
        }),
    }
}
