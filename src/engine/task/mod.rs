//! Tasks: questions from files or the hub, as lm-eval's task files describe them, in three splits of documents.
//!
//! A task file ([`definition`]) says where rows come from ([`source`]), how a row becomes a question (`template`), how the
//! model is asked ([`Prompt`], [`ChatTemplate`]) and what its answers are worth ([`metric`]). Which documents the search, the
//! selection and the holdout see is decided here too ([`split`]). What is read and made here is text; tokens, models and
//! log-likelihoods are [`crate::evaluate`]'s.

mod chat;
pub mod definition;
mod digest;
mod doc;
mod error;
mod forbidden;
mod jinja;
mod kit;
pub mod literal;
mod load;
pub mod metric;
mod place;
mod prompt;
mod question;
pub mod source;
pub mod split;
mod template;
mod warning;
mod wording;

use std::path::Path;
use std::sync::Arc;

use prompt::Delimiters;
use question::{Example, Question};
use wording::Wording;

pub use chat::{ChatError, ChatTemplate, Date, Message};
pub use definition::{Choices, Definition, DefinitionError, DefinitionNote, OutputType, Target};
pub use digest::FilesDigest;
pub use doc::{Answer, Doc};
pub use error::TaskError;
pub use forbidden::{ForbiddenDoc, ForbiddenTexts};
pub use load::Loader;
pub use metric::{Metric, MetricKind, Pipeline};
pub use place::Place;
pub use prompt::Prompt;
pub use source::{DatasetError, Row};
pub use template::{Template, TemplateError};
pub use warning::TaskWarning;

use crate::units::Split;

/// One checked task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Unique among the tasks of a search.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// What its documents are answered by.
    pub output_type: OutputType,
    /// The first is judged, the others are reported beside it. Never empty.
    pub metrics: Vec<Metric>,
    /// What is done to a written answer before it is scored.
    pub filters: Option<Pipeline>,
    /// Between prompt and answer; nothing where a chat template writes the prompt.
    pub target_delimiter: String,
    /// Whether the tokenizer adds its special tokens; `None`: as the tokenizer does by itself (lm-eval's default).
    pub add_bos_token: Option<bool>,
    /// How the documents are put to the model.
    pub prompt: Prompt,
    /// Whether a prompt that is longer than the model reads loses its beginning before choices are scored, as before a written
    /// answer it always does; otherwise such a document is refused.
    pub cuts_prompts: bool,
    /// Texts that end a written answer.
    pub until: Arc<[String]>,
    /// Licence of the documents, as an SPDX expression.
    pub license: Option<String>,
    /// What made the documents, where the task file says so.
    pub generated_by: Option<String>,
    /// SHA-256, in hexadecimal, of the task file and all files that were read.
    pub digest: String,
    /// Where the documents come from.
    pub origin: Origin,
    /// Where the task is read in another way than lm-eval does.
    pub notes: Vec<DefinitionNote>,
    /// What is odd about the documents.
    pub warnings: Vec<TaskWarning>,
    material: Arc<Material>,
    documents: [Arc<[Doc]>; 3],
}

/// Where a task's documents come from, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The hub's id of the dataset; `None` for files of the user's.
    pub dataset: Option<String>,
    /// The commit that was read, 40 hexadecimal digits.
    pub commit: Option<String>,
    /// The dataset's split whose documents were dealt; `None` for a task that was split by hand.
    pub split: Option<String>,
    /// The benchmark whose test set this is, on which nobody should search.
    pub benchmark_test: Option<String>,
}

/// What prompts are put together from.
#[derive(Debug)]
struct Material {
    questions: [Vec<Question>; 3],
    /// In the order of their source; from the search split or from a dataset split of their own.
    examples: Vec<Question>,
    /// They are rendered by a `doc_to_text` of their own.
    examples_have_own_text: bool,
    target_delimiter: String,
    fewshot_delimiter: String,
}

impl Task {
    /// The documents of a split, in the source's order; never empty unless all splits together have fewer documents than
    /// there are splits, or they are only to be answered ([`Loader::questions`]).
    pub fn docs(&self, split: Split) -> &[Doc] {
        &self.documents[split as usize]
    }

    /// What makes each document of a split itself, without the prompt around it: the question, the question with its answers,
    /// and where it stands.
    pub fn contents(&self, split: Split) -> Vec<(String, String, Place)> {
        let questions = self.material.questions[split as usize].iter();
        let content = |question: &Question| {
            (question.query.clone(), question.content(), question.place.clone())
        };
        questions.map(content).collect()
    }

    /// The first document whose right answer the source does not tell.
    pub fn unanswered(&self) -> Option<&Doc> {
        self.documents.iter().flat_map(|docs| docs.iter()).find(|doc| !doc.answer.is_known())
    }

    /// The metric that the task is judged by.
    pub fn judged(&self) -> &Metric {
        &self.metrics[0]
    }

    /// The same task, judged by another of its metrics.
    ///
    /// # Errors
    /// [`TaskError::NoMetric`].
    pub fn judged_by(mut self, metric: &str) -> Result<Task, TaskError> {
        let place = self.metrics.iter().position(|own| own.as_str() == metric);
        let no_metric = || TaskError::NoMetric {
            task: self.name.clone(),
            metric: metric.to_owned(),
            metrics: self.metrics.iter().map(Metric::as_str).collect(),
        };
        let place = place.ok_or_else(no_metric)?;
        let judged = self.metrics.remove(place);
        self.metrics.insert(0, judged);
        Ok(self)
    }

    /// The same task put in the words of a model's chat template.
    ///
    /// # Errors
    /// The template cannot be used for these messages.
    pub fn with_chat(&self, template: &ChatTemplate) -> Result<Task, TaskError> {
        self.clone().prompted(self.prompt.clone(), Some(template))
    }

    /// The same task put in another way.
    ///
    /// # Errors
    /// More examples than there are; a chat template that cannot be used for these messages; a template that is no Jinja or does
    /// not fit a document; letters where nothing is to choose from, or more than 26 choices.
    pub fn with_prompt(
        &self,
        prompt: Prompt,
        template: Option<&ChatTemplate>,
    ) -> Result<Task, TaskError> {
        self.clone().prompted(prompt, template)
    }

    fn prompted(
        mut self,
        prompt: Prompt,
        template: Option<&ChatTemplate>,
    ) -> Result<Task, TaskError> {
        let material = Arc::clone(&self.material);
        let (asked, examples) = (prompt.num_fewshot, material.examples.len());
        if asked > examples {
            return Err(TaskError::FewExamples { task: self.name, asked, examples });
        }
        let chat = template.filter(|_| prompt.apply_chat_template);
        if asked > 0 && material.is_conversation() {
            return Err(TaskError::ExamplesInConversation { task: self.name, asked });
        }
        let wording =
            Wording::new(&self.name, self.output_type, &material, &prompt, chat.is_some())?;
        let asking =
            Asking { prompt: &prompt, examples: material.shown(&wording, asked)?, wording, chat };
        for (split, questions) in material.questions.iter().enumerate() {
            let docs = questions.iter().map(|question| material.doc(question, &asking));
            self.documents[split] = docs.collect::<Result<_, TaskError>>()?;
        }
        // lm-eval leaves it away after a chat template, which ends where the answer begins.
        self.target_delimiter = match chat {
            Some(_) => String::new(),
            None => material.target_delimiter.clone(),
        };
        self.prompt = prompt;
        Ok(self)
    }

    /// Reads a task of files: a folder with a `task.toml`, a task file, or a CSV file of the starter kit with rows of one kind.
    ///
    /// # Errors
    /// See [`TaskError`]; a dataset of the hub, or several tasks in one file, for which see [`Loader`].
    pub fn load(path: &Path) -> Result<Task, TaskError> {
        let mut tasks = Loader { hub: None }.load(path)?;
        match (tasks.pop(), tasks.is_empty()) {
            (Some(task), true) => Ok(task),
            _ => Err(TaskError::Several { path: path.into() }),
        }
    }
}

/// What makes prompts of questions.
struct Asking<'a> {
    prompt: &'a Prompt,
    wording: Wording,
    /// All that may be shown, and the questions that they are.
    examples: Vec<(&'a Question, Example)>,
    chat: Option<&'a ChatTemplate>,
}

impl Material {
    fn is_conversation(&self) -> bool {
        self.questions.iter().flatten().any(|question| question.messages.is_some())
    }

    /// The examples as they are put, if any are asked for.
    fn shown(
        &self,
        wording: &Wording,
        asked: usize,
    ) -> Result<Vec<(&Question, Example)>, TaskError> {
        let mut shown = Vec::new();
        for question in self.examples.iter().filter(|_| asked > 0) {
            shown.extend(wording.example(question)?.map(|example| (question, example)));
        }
        Ok(shown)
    }

    fn doc(&self, question: &Question, asking: &Asking) -> Result<Doc, TaskError> {
        let delimiters =
            Delimiters { target: &self.target_delimiter, fewshot: &self.fewshot_delimiter };
        // A question is not its own example, however the example is written.
        let own = |other: &Question| other.place == question.place || other.query == question.query;
        let others = asking.examples.iter().filter(|(example, _)| !own(example));
        let asked = asking.prompt.num_fewshot;
        let examples: Vec<&Example> = others.map(|(_, example)| example).take(asked).collect();
        if examples.len() < asked {
            let (place, examples) = (question.place.clone(), examples.len());
            return Err(TaskError::FewOthers { place, asked, examples });
        }
        let put = asking.wording.question(question)?;
        let text = asking.prompt.text(question, &put, &examples, &delimiters, asking.chat);
        let unusable =
            |source| TaskError::Chat { place: question.place.clone(), source: Box::new(source) };
        Ok(Doc {
            text: text.map_err(unusable)?,
            answer: put.answer.into_owned(),
            place: question.place.clone(),
            id: question.id.clone(),
        })
    }
}
