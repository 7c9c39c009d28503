use std::path::PathBuf;

use super::Place;
use super::chat::ChatError;
use super::definition::DefinitionError;
use super::source::DatasetError;
use super::split::DealError;
use super::template::TemplateError;
use crate::hub::HubError;
use crate::units::Split;

/// Why a task cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The task file.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A file with rows.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The hub does not give the dataset.
    #[error("task {task}")]
    Hub {
        /// Name of the task.
        task: String,
        /// Why.
        #[source]
        source: Box<HubError>,
    },
    /// A dataset of the hub where only files may be read.
    #[error("{}: the dataset {id} is on the hub, and only files are read here", path.display())]
    NoHub {
        /// The task file.
        path: PathBuf,
        /// The dataset.
        id: String,
    },
    /// A local dataset without files for a split that is needed.
    #[error("{}: `dataset_kwargs.data_files` has no files for the split `{split}`; it has {}", path.display(), splits.join(", "))]
    NoFiles {
        /// The task file.
        path: PathBuf,
        /// The dataset's split.
        split: String,
        /// The splits there are files for.
        splits: Vec<String>,
    },
    /// A file of the hub that is not rows.
    #[error("{}: expected a name that ends in .jsonl, .json, .csv, .tsv or .parquet, or these and .gz", file.display())]
    Format {
        /// Which file.
        file: PathBuf,
    },
    /// Several tasks where one is expected.
    #[error("{}: the file has rows of several kinds, which make several tasks", path.display())]
    Several {
        /// Which file.
        path: PathBuf,
    },
    /// `where` leaves nothing.
    #[error("{}: `where` leaves no documents", path.display())]
    NoDocuments {
        /// The task file.
        path: PathBuf,
    },
    /// A template does not fit the document.
    #[error("{place}: `{key}` cannot be rendered; the document has the fields {fields}")]
    Render {
        /// Which row.
        place: Place,
        /// Key of the task file.
        key: &'static str,
        /// What there is.
        fields: String,
        /// What is wrong.
        #[source]
        source: Box<TemplateError>,
    },
    /// A field that a task key names is missing or of the wrong kind.
    #[error("{place}: `{field}` (named by `{key}`) is {value}; expected {expected}")]
    Field {
        /// Which row.
        place: Place,
        /// Key of the task file.
        key: &'static str,
        /// The row's field.
        field: String,
        /// What the row says.
        value: String,
        /// What would be valid.
        expected: &'static str,
    },
    /// Nothing to choose from.
    #[error("{place}: `doc_to_choice` gives {found} choices; expected two or more")]
    FewChoices {
        /// Which row.
        place: Place,
        /// How many there are.
        found: usize,
    },
    /// A choice without text.
    #[error("{place}: choice {index} of `doc_to_choice` is empty")]
    EmptyChoice {
        /// Which row.
        place: Place,
        /// Counted from 0.
        index: usize,
    },
    /// Two answers read the same, so that none can be told right.
    #[error("{place}: choice {choice:?} appears twice")]
    SameChoices {
        /// Which row.
        place: Place,
        /// The repeated answer.
        choice: String,
    },
    /// A right answer that is none of the choices.
    #[error(
        "{place}: `doc_to_target` is {value}; expected an index from 0 to {} or one of {choices:?}",
        choices.len().saturating_sub(1)
    )]
    Target {
        /// Which row.
        place: Place,
        /// What the row says.
        value: String,
        /// What there is to choose from.
        choices: Vec<String>,
    },
    /// A reference that is no text.
    #[error("{place}: `doc_to_target` is {value}; expected a text or a list of texts")]
    Reference {
        /// Which row.
        place: Place,
        /// What the row says.
        value: String,
    },
    /// A document that would be measured on two splits.
    #[error(
        "{}: the same document is in split {first} ({first_place}) and in split {second} ({second_place})",
        path.display()
    )]
    Shared {
        /// The task file.
        path: PathBuf,
        /// The earlier split.
        first: Split,
        /// Where it is there.
        first_place: Place,
        /// The later split.
        second: Split,
        /// Where it is there.
        second_place: Place,
    },
    /// The documents make no three splits.
    #[error("task {task}: its documents cannot be dealt")]
    Deal {
        /// Name of the task.
        task: String,
        /// Why.
        #[source]
        source: DealError,
    },
    /// More examples than there are.
    #[error(
        "task {task}: `num_fewshot` is {asked}, and there are {examples} solved documents to show"
    )]
    FewExamples {
        /// Name of the task.
        task: String,
        /// How many are to be shown.
        asked: usize,
        /// How many there are.
        examples: usize,
    },
    /// More examples than there are beside the question itself.
    #[error(
        "{place}: `num_fewshot` is {asked}, and there are {examples} other solved documents to show"
    )]
    FewOthers {
        /// The question.
        place: Place,
        /// How many are to be shown.
        asked: usize,
        /// How many there are.
        examples: usize,
    },
    /// Examples before a conversation, which has turns of its own.
    #[error("task {task}: `num_fewshot` is {asked}; a conversation takes no examples")]
    ExamplesInConversation {
        /// Name of the task.
        task: String,
        /// How many are to be shown.
        asked: usize,
    },
    /// A chat template that does not take these messages.
    #[error("{place}: the chat template cannot write the prompt")]
    Chat {
        /// The question.
        place: Place,
        /// What the template says.
        #[source]
        source: Box<ChatError>,
    },
    /// A template in place of the task's that is no Jinja.
    #[error("task {task}: `doc_to_text` cannot be read")]
    Template {
        /// Name of the task.
        task: String,
        /// What is wrong.
        #[source]
        source: Box<TemplateError>,
    },
    /// Other words for a conversation that the chat template writes.
    #[error(
        "task {task}: `doc_to_text` changes nothing where the chat template writes a conversation; set `apply_chat_template` to false, or leave it as it is"
    )]
    TextOfConversation {
        /// Name of the task.
        task: String,
    },
    /// A way of asking that the task's kind does not know.
    #[error("task {task}: `{key}` cannot be changed so: the task's output_type is {output_type}")]
    NoEffect {
        /// Name of the task.
        task: String,
        /// What was to be changed.
        key: &'static str,
        /// Of the task.
        output_type: &'static str,
    },
    /// More choices than letters.
    #[error("{place}: {found} choices; letters as answers take 26 at most")]
    ManyChoices {
        /// The question.
        place: Place,
        /// How many choices there are.
        found: usize,
    },
    /// A metric that the task does not have.
    #[error("task {task}: no metric `{metric}`; it has {}", metrics.join(", "))]
    NoMetric {
        /// Name of the task.
        task: String,
        /// What was asked for.
        metric: String,
        /// What there is.
        metrics: Vec<&'static str>,
    },
}

impl TaskError {
    /// What the user can do about it, where that is not plain from the message.
    pub fn remedy(&self) -> Option<String> {
        match self {
            TaskError::FewExamples { .. } | TaskError::FewOthers { .. } => {
                Some("ask for fewer examples, or give the search split more documents".to_owned())
            }
            _ => None,
        }
    }
}
