//! One JSON line to one [`Doc`].

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value};

use super::Doc;
use super::definition::{Choices, Definition, read_text};
use super::digest::FilesDigest;
use super::error::TaskError;
use crate::units::Split;

const PROMPT: &str = "doc_to_text";

/// `doc_to_text`, compiled.
pub struct Template(Environment<'static>);

impl Template {
    /// A bare field name stands for the field, as it does for lm-eval.
    pub fn new(definition: &Definition) -> Result<Self, TaskError> {
        let text = match is_field_name(&definition.doc_to_text) {
            true => format!("{{{{{}}}}}", definition.doc_to_text),
            false => definition.doc_to_text.clone(),
        };
        let unusable = |source| TaskError::Template {
            path: definition.path.clone(),
            source: Box::new(source),
        };
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder().keep_trailing_newline(true).build().map_err(unusable)?,
        );
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template_owned(PROMPT, text).map_err(unusable)?;
        Ok(Template(environment))
    }

    fn render(&self, fields: &Map<String, Value>) -> Result<String, minijinja::Error> {
        self.0.get_template(PROMPT)?.render(minijinja::value::Serde(fields))
    }
}

fn is_field_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && letters.all(|c| c.is_alphanumeric() || c == '_')
}

/// Reads a split's file; blank lines are passed over.
pub fn read(
    path: &Path,
    definition: &Definition,
    template: &Template,
    digest: &mut FilesDigest,
) -> Result<Vec<Doc>, TaskError> {
    let text = read_text(path, digest)?;
    let mut docs = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        docs.push(Line { path, number: index + 1 }.read(line, definition, template)?);
    }
    match docs.is_empty() {
        true => Err(TaskError::Empty { path: path.into() }),
        false => Ok(docs),
    }
}

/// A place for error messages.
struct Line<'a> {
    path: &'a Path,
    number: usize,
}

impl Line<'_> {
    fn read(
        &self,
        text: &str,
        definition: &Definition,
        template: &Template,
    ) -> Result<Doc, TaskError> {
        let fields: Map<String, Value> = serde_json::from_str(text).map_err(|source| {
            TaskError::Json { path: self.path.into(), line: self.number, source }
        })?;
        let choices = self.choices(&fields, &definition.doc_to_choice)?;
        let target = self.target(&fields, &definition.doc_to_target, choices.len())?;
        let text = template.render(&fields).map_err(|source| TaskError::Render {
            path: self.path.into(),
            line: self.number,
            fields: fields.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            source: Box::new(source),
        })?;
        Ok(Doc { text, choices, target, line: self.number })
    }

    fn choices(
        &self,
        fields: &Map<String, Value>,
        source: &Choices,
    ) -> Result<Vec<String>, TaskError> {
        let (field, choices) = match source {
            Choices::Fixed(choices) => ("doc_to_choice", Some(choices.clone())),
            Choices::Field(field) => (field.as_str(), fields.get(field).and_then(strings)),
        };
        let Some(choices) = choices.filter(|choices| choices.len() >= 2) else {
            let expected = "a list of two or more strings".to_owned();
            return Err(self.field_error("doc_to_choice", field, fields, expected));
        };
        let mut sorted: Vec<&String> = choices.iter().collect();
        sorted.sort();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(TaskError::SameChoices {
                path: self.path.into(),
                line: self.number,
                choice: pair[0].clone(),
            }),
            None => Ok(choices),
        }
    }

    fn target(
        &self,
        fields: &Map<String, Value>,
        field: &str,
        choices: usize,
    ) -> Result<usize, TaskError> {
        let index =
            fields.get(field).and_then(Value::as_u64).filter(|index| *index < choices as u64);
        index.map(|index| index as usize).ok_or_else(|| {
            let expected =
                format!("the index of the right choice, an integer from 0 to {}", choices - 1);
            self.field_error("doc_to_target", field, fields, expected)
        })
    }

    fn field_error(
        &self,
        key: &'static str,
        field: &str,
        fields: &Map<String, Value>,
        expected: String,
    ) -> TaskError {
        TaskError::Field {
            path: self.path.into(),
            line: self.number,
            key,
            field: field.to_owned(),
            value: fields.get(field).map_or("missing".to_owned(), Value::to_string),
            expected,
        }
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

/// Prompt and choices decide whether two documents are the same; `splits` are in the order of [`Split::ALL`].
pub fn check_disjoint(path: &Path, splits: &[Vec<Doc>]) -> Result<(), TaskError> {
    let mut seen: BTreeMap<(&str, &[String]), (Split, usize)> = BTreeMap::new();
    for (split, docs) in Split::ALL.into_iter().zip(splits) {
        for doc in docs {
            let (first, first_line) =
                *seen.entry((&doc.text, &doc.choices)).or_insert((split, doc.line));
            if first != split {
                let (second, second_line) = (split, doc.line);
                return Err(TaskError::Shared {
                    path: path.into(),
                    first,
                    first_line,
                    second,
                    second_line,
                });
            }
        }
    }
    Ok(())
}
