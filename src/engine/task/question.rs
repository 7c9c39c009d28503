//! One row of a source as a question with its answer, before a prompt is made of it.

use serde_json::{Map, Value};

use super::chat::Message;
use super::definition::{Choices, Definition, OutputType, Target};
use super::error::TaskError;
use super::split::content_hash;
use super::template::{Template, TemplateError};
use super::{Answer, Place, Row};

/// A row, rendered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    pub description: String,
    pub query: String,
    /// The messages before the reply, where the source has conversations.
    pub messages: Option<Vec<Message>>,
    pub answer: Answer,
    pub place: Place,
    pub id: Option<String>,
    /// What dealing keeps even.
    pub stratum: String,
    /// The row's fields as JSON: smaller than a map, and hardly ever asked for.
    fields: Box<str>,
}

/// A solved question, as it is put.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Example {
    pub query: String,
    pub answer: String,
}

impl Question {
    /// What makes it itself: question and answers.
    pub fn content(&self) -> String {
        let answers = match &self.answer {
            Answer::Choice { choices, .. } => choices.join("\n"),
            Answer::Text { references } => references.join("\n"),
        };
        format!("{}\n{answers}", self.query)
    }

    /// Equal for documents that are the same but for case, blanks and punctuation.
    pub fn hash(&self) -> u64 {
        content_hash(&self.content())
    }

    /// Whether it can be shown with its right answer.
    pub fn is_solved(&self) -> bool {
        self.answer.references().first().is_some_and(|answer| !answer.is_empty())
    }

    /// What a template sees.
    pub fn fields(&self) -> Map<String, Value> {
        // Written by `Rendering::question`.
        serde_json::from_str(&self.fields).unwrap_or_default()
    }
}

/// Which of the task's keys a rendering is by.
pub(super) struct Rendering<'a> {
    pub definition: &'a Definition,
    pub doc_to_text: &'a Template,
    pub doc_to_target: &'a Target,
    pub doc_to_choice: Option<&'a Choices>,
}

impl<'a> Rendering<'a> {
    pub fn of_questions(definition: &'a Definition) -> Self {
        Rendering {
            definition,
            doc_to_text: &definition.doc_to_text,
            doc_to_target: &definition.doc_to_target,
            doc_to_choice: definition.doc_to_choice.as_ref(),
        }
    }

    /// Examples may be rendered by keys of their own (`fewshot_config`).
    pub fn of_examples(definition: &'a Definition) -> Self {
        let fewshot = &definition.fewshot;
        Rendering {
            definition,
            doc_to_text: fewshot.doc_to_text.as_ref().unwrap_or(&definition.doc_to_text),
            doc_to_target: fewshot.doc_to_target.as_ref().unwrap_or(&definition.doc_to_target),
            doc_to_choice: fewshot.doc_to_choice.as_ref().or(definition.doc_to_choice.as_ref()),
        }
    }

    pub fn question(&self, row: &Row) -> Result<Question, TaskError> {
        let at = RowPlace { row };
        let fields = &row.fields;
        let (query, messages) = self.query(&at)?;
        Ok(Question {
            description: at.rendered("description", self.definition.description.render(fields))?,
            query,
            messages,
            answer: self.answer(&at)?,
            place: row.place.clone(),
            id: self.id(&at)?,
            stratum: String::new(),
            fields: Value::Object(fields.clone()).to_string().into(),
        }
        .with_stratum(self.stratum(&at)?))
    }

    fn query(&self, at: &RowPlace) -> Result<(String, Option<Vec<Message>>), TaskError> {
        let messages = self.definition.conversation.as_ref().map(|_| at.messages()).transpose()?;
        let query = match (&messages, self.definition.apply_chat_template) {
            // What makes the document itself; the chat template writes what is read.
            (Some(messages), true) => messages
                .iter()
                .map(|message| message.content.as_str())
                .collect::<Vec<_>>()
                .join("\n"),
            _ => at.rendered("doc_to_text", self.doc_to_text.render(&at.row.fields))?,
        };
        Ok((query, messages))
    }

    fn answer(&self, at: &RowPlace) -> Result<Answer, TaskError> {
        let target = self.target(at)?;
        match self.definition.output_type {
            OutputType::MultipleChoice => self.choice(at, target),
            OutputType::GenerateUntil
            | OutputType::Loglikelihood
            | OutputType::LoglikelihoodRolling => {
                let references = target.map_or(Ok(Vec::new()), |target| at.references(&target))?;
                Ok(Answer::Text { references })
            }
        }
    }

    fn choice(&self, at: &RowPlace, target: Option<Value>) -> Result<Answer, TaskError> {
        let choices = match self.doc_to_choice {
            Some(choices) => at.rendered("doc_to_choice", choices.evaluate(&at.row.fields))?,
            None => Vec::new(),
        };
        at.check_choices(&choices)?;
        let rendered = match self.doc_to_target {
            Target::Index(_) => false,
            Target::Of(template) => !at.row.fields.contains_key(template.source()),
        };
        let right = target.map(|target| at.right(&target, &choices, rendered)).transpose()?;
        Ok(Answer::Choice { choices, right })
    }

    /// `None` where a CSV of the starter kit does not tell: its test set.
    fn target(&self, at: &RowPlace) -> Result<Option<Value>, TaskError> {
        if self.definition.is_kit() && at.row.fields.get("target").is_none_or(Value::is_null) {
            return Ok(None);
        }
        at.rendered("doc_to_target", self.doc_to_target.evaluate(&at.row.fields)).map(Some)
    }

    fn id(&self, at: &RowPlace) -> Result<Option<String>, TaskError> {
        let Some(field) = &self.definition.id else { return Ok(None) };
        match at.row.fields.get(field) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            _ => Err(at.field_error("id", field, "text or a number")),
        }
    }

    fn stratum(&self, at: &RowPlace) -> Result<Option<String>, TaskError> {
        let Some(field) = self.definition.stratify() else { return Ok(None) };
        match at.row.fields.get(field) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value) => Ok(Some(value.to_string())),
            None => Err(at.field_error("splits.stratify", field, "a value")),
        }
    }
}

impl Question {
    /// Without a field to go by, the index of the right answer.
    fn with_stratum(mut self, stratum: Option<String>) -> Self {
        let right = || self.answer.right().map(|right| right.to_string()).unwrap_or_default();
        self.stratum = stratum.unwrap_or_else(right);
        self
    }
}

/// A row, for error messages.
struct RowPlace<'a> {
    row: &'a Row,
}

impl RowPlace<'_> {
    fn rendered<T>(
        &self,
        key: &'static str,
        result: Result<T, TemplateError>,
    ) -> Result<T, TaskError> {
        result.map_err(|source| TaskError::Render {
            place: self.row.place.clone(),
            key,
            fields: self.row.fields.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            source: Box::new(source),
        })
    }

    fn check_choices(&self, choices: &[String]) -> Result<(), TaskError> {
        let place = || self.row.place.clone();
        if choices.len() < 2 {
            return Err(TaskError::FewChoices { place: place(), found: choices.len() });
        }
        if let Some(index) = choices.iter().position(String::is_empty) {
            return Err(TaskError::EmptyChoice { place: place(), index });
        }
        let mut sorted: Vec<&String> = choices.iter().collect();
        sorted.sort();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(TaskError::SameChoices { place: place(), choice: pair[0].clone() }),
            None => Ok(()),
        }
    }

    /// An index, its digits, or the text of a choice. Digits that a template renders are an index, as for lm-eval; those of a
    /// field may be a choice's text.
    fn right(
        &self,
        target: &Value,
        choices: &[String],
        rendered: bool,
    ) -> Result<usize, TaskError> {
        let digits = |text: &String| text.trim().parse::<usize>().ok();
        let index = match target {
            Value::Number(number) => number.as_u64().map(|index| index as usize),
            Value::Bool(value) => Some(usize::from(*value)),
            Value::String(text) if rendered && digits(text).is_some() => digits(text),
            Value::String(text) => {
                choices.iter().position(|choice| choice == text).or_else(|| digits(text))
            }
            _ => None,
        };
        index.filter(|index| *index < choices.len()).ok_or_else(|| TaskError::Target {
            place: self.row.place.clone(),
            value: target.to_string(),
            choices: choices.to_vec(),
        })
    }

    fn references(&self, target: &Value) -> Result<Vec<String>, TaskError> {
        let one = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let references = match target {
            Value::Array(several) => several.iter().map(one).collect(),
            single => one(single).map(|text| vec![text]),
        };
        let known = references.filter(|references: &Vec<String>| !references.is_empty());
        known.ok_or_else(|| TaskError::Reference {
            place: self.row.place.clone(),
            value: target.to_string(),
        })
    }

    /// The field `messages` of a conversation.
    fn messages(&self) -> Result<Vec<Message>, TaskError> {
        let message = |value: &Value| {
            let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
            Some(Message { role: text("role")?, content: text("content")? })
        };
        let field = self.row.fields.get("messages").and_then(Value::as_array);
        let messages = field.and_then(|list| list.iter().map(message).collect());
        messages.ok_or_else(|| self.field_error("conversation", "messages", "a list of messages"))
    }

    fn field_error(&self, key: &'static str, field: &str, expected: &'static str) -> TaskError {
        TaskError::Field {
            place: self.row.place.clone(),
            key,
            field: field.to_owned(),
            value: self.row.fields.get(field).map_or("missing".to_owned(), Value::to_string),
            expected,
        }
    }
}

/// The fields of a row that stands in the task file itself.
pub(super) fn written_out(fields: &Map<String, Value>, file: &std::path::Path) -> Row {
    Row { fields: fields.clone(), place: Place { file: file.into(), line: 1 } }
}
