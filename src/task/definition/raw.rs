//! A task file as it is written: TOML or YAML, read to plain JSON values.

use std::path::{Path, PathBuf};

use serde_json::{Map, Number, Value};

use super::error::{DefinitionError, KeyPlace};
use crate::task::digest::{FilesDigest, read_text};

/// In which language a task is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Ours: lm-eval's words, and a few more.
    Toml,
    /// lm-eval's own task file.
    Yaml,
}

/// The text of a task file; knows the lines of its keys.
#[derive(Debug)]
pub struct TaskFile {
    pub path: PathBuf,
    pub dialect: Dialect,
    text: String,
}

impl TaskFile {
    pub fn read(path: &Path, digest: &mut FilesDigest) -> Result<TaskFile, DefinitionError> {
        let dialect = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Dialect::Toml,
            Some("yaml" | "yml") => Dialect::Yaml,
            _ => return Err(DefinitionError::Kind { path: path.into() }),
        };
        let text = read_text(path, digest)
            .map_err(|source| DefinitionError::Text { path: path.into(), source })?;
        Ok(TaskFile { path: path.into(), dialect, text })
    }

    /// A text in TOML that stands for a file.
    pub fn of_text(path: &Path, text: &str) -> TaskFile {
        TaskFile { path: path.into(), dialect: Dialect::Toml, text: text.to_owned() }
    }

    pub fn parse(&self) -> Result<Map<String, Value>, DefinitionError> {
        match self.dialect {
            Dialect::Toml => self.parse_toml(),
            Dialect::Yaml => self.parse_yaml(),
        }
    }

    /// Where a key is written, by the last part of its name.
    pub fn place(&self, key: &str) -> KeyPlace {
        let name = key.rsplit('.').next().unwrap_or(key);
        let name = name.split('[').next().unwrap_or(name);
        let line = self.text.lines().position(|line| begins_with_key(line, name));
        KeyPlace { path: self.path.clone(), line: line.map(|index| index + 1) }
    }

    fn parse_toml(&self) -> Result<Map<String, Value>, DefinitionError> {
        let table: toml::Table = toml::from_str(&self.text).map_err(|source| {
            DefinitionError::Toml { path: self.path.clone(), source: Box::new(source) }
        })?;
        table.into_iter().map(|(key, value)| Ok((key, json(value)))).collect()
    }

    fn parse_yaml(&self) -> Result<Map<String, Value>, DefinitionError> {
        let options = serde_saphyr::options! { reject_unsupported_tags: true };
        serde_saphyr::from_str_with_options(&self.text, options).map_err(|error| {
            self.python_code().unwrap_or_else(|| DefinitionError::Yaml {
                path: self.path.clone(),
                message: error.to_string(),
            })
        })
    }

    /// The error for the first key with a `!function` tag, which names a Python function beside the file.
    fn python_code(&self) -> Option<DefinitionError> {
        self.text.lines().enumerate().find_map(|(index, line)| {
            let (key, value) = line.split_once(':')?;
            let value = value.trim();
            value.starts_with("!function").then(|| DefinitionError::Unsupported {
                place: KeyPlace { path: self.path.clone(), line: Some(index + 1) },
                key: key.trim().trim_start_matches("- ").to_owned(),
                value: format!("`{value}`"),
                reason: "it names Python code, which is never run here; write it as a Jinja template, \
                         or prepare the documents beforehand",
            })
        })
    }
}

fn begins_with_key(line: &str, name: &str) -> bool {
    let line = line.trim_start().trim_start_matches("- ").trim_start_matches(['"', '\'', '[']);
    line.strip_prefix(name).is_some_and(|rest| {
        rest.trim_start_matches(['"', '\'']).trim_start().starts_with(['=', ':', ']', '.'])
    })
}

/// Dates become their text; numbers that JSON has no word for (`nan`, `inf`) become text too, which no key takes.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::Number(number.into()),
        toml::Value::Float(number) => Number::from_f64(number)
            .map_or_else(|| Value::String(number.to_string()), Value::Number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect())
        }
    }
}
