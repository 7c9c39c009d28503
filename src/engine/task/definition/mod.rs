//! Task files: `task.toml` in lm-eval's words, or an lm-eval task `*.yaml` of the simple kinds, read raw and then checked.
//!
//! What comes out says everything about a task but its documents. Nothing here reads a data set or renders a prompt:
//! see [`crate::task`].

mod dataset;
mod error;
mod keys;
mod prompt;
mod raw;
mod scoring;
mod splits;
mod table;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use error::{DefinitionError, KeyPlace};

use super::digest::FilesDigest;
use super::metric::{Metric, Pipeline};
pub use super::source::Conversation;
use super::template::{Template, TemplateError};
use crate::units::Split;
use raw::{Dialect, TaskFile};

/// How a document is put to the model; lm-eval's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputType {
    /// The likeliest of the given answers.
    MultipleChoice,
    /// Greedy text after the prompt.
    GenerateUntil,
    /// The likelihood of the target after the prompt.
    Loglikelihood,
    /// The likelihood of a whole text, without a prompt.
    LoglikelihoodRolling,
}

impl OutputType {
    /// All, in lm-eval's order.
    pub const ALL: [OutputType; 4] = [
        OutputType::Loglikelihood,
        OutputType::LoglikelihoodRolling,
        OutputType::GenerateUntil,
        OutputType::MultipleChoice,
    ];

    /// As in a task file.
    pub fn as_str(self) -> &'static str {
        match self {
            OutputType::MultipleChoice => "multiple_choice",
            OutputType::GenerateUntil => "generate_until",
            OutputType::Loglikelihood => "loglikelihood",
            OutputType::LoglikelihoodRolling => "loglikelihood_rolling",
        }
    }
}

/// In which format a data set's files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line, or one list of objects.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// The merging competition's starter kit: CSV with `id,input,[target,][answer_choices,]eval_type`.
    Kit,
}

/// Where a data set comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetPath {
    /// A repository of the Hugging Face hub.
    Hub {
        /// `owner/name`, or an old name without owner.
        id: String,
        /// Commit, tag or branch; absent: `main`.
        revision: Option<String>,
    },
    /// Files beside the task file.
    Local(Format),
}

/// The data set that a task's documents are taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Where it is.
    pub path: DatasetPath,
    /// Which of its configurations (`dataset_name`).
    pub name: Option<String>,
    /// Files of each split (`dataset_kwargs.data_files`): of a local data set relative to the task file, of the hub's
    /// paths in the repository, where `*` stands for any letters but `/`. Empty: as the repository's listing says.
    pub files: BTreeMap<String, Vec<String>>,
}

/// Where the documents of the three splits come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Splits {
    /// Split by hand: one JSON-lines file each, relative to the task file.
    Files {
        /// What the search sees.
        search: String,
        /// What the winner is chosen on.
        selection: String,
        /// What is reported.
        holdout: String,
    },
    /// Dealt from one split of the data set by the hash of each document.
    Dealt {
        /// The data set's split.
        from: String,
        /// Of search, selection and holdout; positive, summing to 1.
        shares: [f64; 3],
        /// Field whose values are spread evenly; absent: the index of the right answer.
        stratify: Option<String>,
    },
}

impl Splits {
    /// The file of a split, where the task was split by hand.
    pub fn file(&self, split: Split) -> Option<&str> {
        match (self, split) {
            (Splits::Files { search, .. }, Split::Search) => Some(search),
            (Splits::Files { selection, .. }, Split::Selection) => Some(selection),
            (Splits::Files { holdout, .. }, Split::Holdout) => Some(holdout),
            (Splits::Dealt { .. }, _) => None,
        }
    }
}

/// Solved examples in front of a document; always the first of their split or list.
#[derive(Debug, Clone, PartialEq)]
pub struct Fewshot {
    /// How many (`num_fewshot`).
    pub count: usize,
    /// The data set's split that they are taken from.
    pub split: Option<String>,
    /// Written out in the task file; none: taken from a split.
    pub samples: Vec<Map<String, Value>>,
    /// After each.
    pub delimiter: String,
    /// Between an example's prompt and its answer.
    pub target_delimiter: String,
    /// In place of the task's, for the examples only.
    pub doc_to_text: Option<Template>,
    /// In place of the task's, for the examples only.
    pub doc_to_target: Option<Target>,
    /// In place of the task's, for the examples only.
    pub doc_to_choice: Option<Choices>,
}

/// What the right answer is.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The same index for every document.
    Index(usize),
    /// A field's value, or rendered text.
    Of(Template),
}

impl Target {
    /// The value as lm-eval takes it: a field's own, or the rendered text; text in brackets that reads as a Python list
    /// becomes that list. Digits stay text: they are an index only where there are choices.
    ///
    /// # Errors
    /// The template cannot be rendered with these fields.
    pub fn evaluate(&self, fields: &Map<String, Value>) -> Result<Value, TemplateError> {
        match self {
            Target::Index(index) => Ok(Value::from(*index)),
            Target::Of(template) => template.evaluate(fields),
        }
    }
}

/// The answers to choose among.
#[derive(Debug, Clone, PartialEq)]
pub enum Choices {
    /// The same for every document.
    Fixed(Vec<String>),
    /// A field that lists them, or a template that renders a Python list.
    Of(Template),
}

impl Choices {
    /// A document's answers, as scored after the delimiter.
    ///
    /// # Errors
    /// The template cannot be rendered with these fields, or what it gives is no list of texts.
    pub fn evaluate(&self, fields: &Map<String, Value>) -> Result<Vec<String>, TemplateError> {
        match self {
            Choices::Fixed(choices) => Ok(choices.clone()),
            Choices::Of(template) => template.evaluate_texts(fields),
        }
    }
}

/// How text is generated (`generation_kwargs`); always greedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Texts at which it ends; they are cut off.
    pub until: Vec<String>,
    /// At most so many tokens.
    pub max_gen_toks: usize,
}

/// Where a task differs from what lm-eval makes of the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefinitionNote {
    /// lm-eval draws the examples by Python's random numbers; here they are the first.
    FirstFewshot {
        /// How many examples.
        count: usize,
    },
    /// A measure over likelihoods that is reported as the mean likelihood per token.
    TokenLikelihood {
        /// lm-eval's metric.
        metric: String,
    },
    /// One of several metrics, not the first, that there is not here; it is not reported.
    MetricLeftOut {
        /// lm-eval's metric.
        metric: String,
    },
    /// The first filter's result is judged and reported; the other chains of filters are not run.
    FiltersLeftOut {
        /// Names of the chains.
        names: Vec<String>,
    },
    /// The file trusts the data set's own Python code, which is never run here.
    CodeNotRun,
}

impl fmt::Display for DefinitionNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DefinitionNote::FirstFewshot { count } => write!(
                f,
                "the first {count} documents are the examples; lm-eval draws them by Python's random numbers (sampler = \"first_n\" makes it do the same)"
            ),
            DefinitionNote::TokenLikelihood { metric } => {
                write!(
                    f,
                    "`{metric}` is reported as token_likelihood, the mean likelihood per token"
                )
            }
            DefinitionNote::MetricLeftOut { metric } => {
                write!(f, "the metric `{metric}` is not known here and is left out")
            }
            DefinitionNote::FiltersLeftOut { names } => write!(
                f,
                "answers go through the first entry of `filter_list` only; left out: {}",
                names.join(", ")
            ),
            DefinitionNote::CodeNotRun => {
                write!(
                    f,
                    "the dataset's own code (`trust_remote_code`) is never run; its files are read"
                )
            }
        }
    }
}

/// A task file whose keys are all known and typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The file.
    pub path: PathBuf,
    /// Name; unique among the tasks of a search.
    pub task: String,
    /// One line for people; empty: none.
    pub summary: String,
    /// Text before the examples.
    pub description: Template,
    /// How a document is put to the model.
    pub output_type: OutputType,
    /// The data set; none: the splits are files of the task's folder.
    pub dataset: Option<Dataset>,
    /// Where the documents of the three splits come from.
    pub splits: Splits,
    /// The data set's own splits.
    pub training_split: Option<String>,
    /// The data set's own splits.
    pub validation_split: Option<String>,
    /// The data set's own split that others are compared on; never searched on.
    pub test_split: Option<String>,
    /// Only rows whose field has one of the values (`[where]`), all fields at once; empty: every row.
    pub keep: Vec<(String, Vec<String>)>,
    /// Solved examples.
    pub fewshot: Fewshot,
    /// The prompt. Empty for `loglikelihood_rolling`.
    pub doc_to_text: Template,
    /// The right answer.
    pub doc_to_target: Target,
    /// The answers to choose among; present exactly for `multiple_choice`.
    pub doc_to_choice: Option<Choices>,
    /// Between prompt and answer.
    pub target_delimiter: String,
    /// The first is judged, the others are reported beside it. Never empty.
    pub metrics: Vec<Metric>,
    /// What is done to generated text before it is scored; none: nothing.
    pub filters: Option<Pipeline>,
    /// How text is generated.
    pub generation: Generation,
    /// Whether a beginning-of-sequence token is put in front; absent: as the tokenizer does.
    pub add_bos_token: Option<bool>,
    /// The system message, or the first text of a plain prompt.
    pub system_instruction: Option<String>,
    /// Whether prompts go through the tokenizer's chat template.
    pub apply_chat_template: bool,
    /// With a chat template: whether each example is a turn of its own.
    pub fewshot_as_multiturn: bool,
    /// Licence of the documents, as an SPDX expression.
    pub license: Option<String>,
    /// What made the documents.
    pub generated_by: Option<String>,
    /// Field with a unique id.
    pub id: Option<String>,
    /// Message trees.
    pub conversation: Option<Conversation>,
    /// Differences to lm-eval worth telling.
    pub notes: Vec<DefinitionNote>,
}

/// Reads `task.toml` or an lm-eval `*.yaml`, and starts the digest of the task's files with it.
///
/// # Errors
/// The file cannot be read; a key is unknown, missing, unsupported or has a value that cannot be used.
pub fn read(path: &Path) -> Result<(Definition, FilesDigest), DefinitionError> {
    let mut digest = FilesDigest::default();
    let (file, entries) = TaskFile::read(path, &mut digest)?;
    Ok((checked(path, &file, &entries)?, digest))
}

/// As [`read`], of a text in TOML that stands for the file at `path`.
///
/// # Errors
/// As there.
pub fn of_text(path: &Path, text: &str) -> Result<(Definition, FilesDigest), DefinitionError> {
    let mut digest = FilesDigest::default();
    digest.add(text.as_bytes());
    let (file, entries) = TaskFile::of_text(path, text)?;
    Ok((checked(path, &file, &entries)?, digest))
}

fn checked(
    path: &Path,
    file: &TaskFile,
    entries: &Map<String, Value>,
) -> Result<Definition, DefinitionError> {
    let table = keys::check(file, entries)?;
    let mut notes = Vec::new();
    let output_type = prompt::output_type(&table)?;
    let dataset = dataset::dataset(&table, &mut notes)?;
    let conversation = dataset::conversation(&table)?;
    let fewshot = prompt::fewshot(&table, output_type, &mut notes)?;
    Ok(Definition {
        path: path.into(),
        task: table.required("task", "the task's name")?,
        summary: table.text("summary")?.unwrap_or_default(),
        description: table.prose("description")?.unwrap_or_default(),
        output_type,
        splits: splits::splits(&table, dataset.is_some())?,
        training_split: table.name("training_split")?,
        validation_split: table.name("validation_split")?,
        test_split: table.name("test_split")?,
        keep: dataset::keep(&table)?,
        doc_to_text: prompt::doc_to_text(&table, output_type, conversation.is_some())?,
        doc_to_target: prompt::doc_to_target(&table, conversation.is_some())?,
        doc_to_choice: prompt::doc_to_choice(&table, output_type)?,
        target_delimiter: fewshot.target_delimiter.clone(),
        metrics: scoring::metrics(&table, output_type, &mut notes)?,
        filters: scoring::filters(&table, output_type, &mut notes)?,
        generation: scoring::generation(&table, output_type, &fewshot.delimiter)?,
        add_bos_token: table.flag("add_bos_token")?,
        system_instruction: table.text("system_instruction")?,
        apply_chat_template: table.flag("apply_chat_template")?.unwrap_or(false),
        fewshot_as_multiturn: table.flag("fewshot_as_multiturn")?.unwrap_or(false),
        license: table.name("license")?,
        generated_by: table.name("generated_by")?,
        id: table.name("id")?,
        dataset,
        fewshot,
        conversation,
        notes,
    })
}
