//! A task file as it is written: TOML or YAML, read to plain JSON values.

use std::path::{Path, PathBuf};

use serde_json::{Map, Number, Value};

use super::error::{DefinitionError, KeyPlace};
use crate::task::digest::{FilesDigest, read_text};

/// A file that includes a file that includes ...: deeper than any of lm-eval's, so that a circle ends.
const DEEPEST_INCLUDE: usize = 8;

/// In which language a task is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Ours: lm-eval's words, and a few more.
    Toml,
    /// lm-eval's own task file.
    Yaml,
}

/// The texts that a task is written in: its file, then the files that one includes. Knows the lines of its keys.
#[derive(Debug)]
pub struct TaskFile {
    pub path: PathBuf,
    pub dialect: Dialect,
    texts: Vec<(PathBuf, String)>,
}

impl TaskFile {
    /// The file and its keys, those of the files that it includes among them.
    pub fn read(
        path: &Path,
        digest: &mut FilesDigest,
    ) -> Result<(TaskFile, Map<String, Value>), DefinitionError> {
        let dialect = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Dialect::Toml,
            Some("yaml" | "yml") => Dialect::Yaml,
            _ => return Err(DefinitionError::Kind { path: path.into() }),
        };
        let mut file = TaskFile { path: path.into(), dialect, texts: Vec::new() };
        let entries = match dialect {
            Dialect::Toml => toml_entries(path, file.add(path, digest)?)?,
            Dialect::Yaml => file.with_included(path, DEEPEST_INCLUDE, digest)?,
        };
        Ok((file, entries))
    }

    /// A text in TOML that stands for a file, and its keys.
    pub fn of_text(
        path: &Path,
        text: &str,
    ) -> Result<(TaskFile, Map<String, Value>), DefinitionError> {
        let texts = vec![(path.to_owned(), text.to_owned())];
        let file = TaskFile { path: path.into(), dialect: Dialect::Toml, texts };
        Ok((file, toml_entries(path, text)?))
    }

    /// Where a key is written, by the last part of its name.
    pub fn place(&self, key: &str) -> KeyPlace {
        let name = key.rsplit('.').next().unwrap_or(key);
        let name = name.split('[').next().unwrap_or(name);
        let is_inner = key.contains('.');
        let found = self.texts.iter().find_map(|(path, text)| {
            let index = text.lines().position(|line| begins_with_key(line, name, is_inner))?;
            Some(KeyPlace { path: path.clone(), line: Some(index + 1) })
        });
        found.unwrap_or_else(|| KeyPlace { path: self.path.clone(), line: None })
    }

    fn add(&mut self, path: &Path, digest: &mut FilesDigest) -> Result<&str, DefinitionError> {
        let text = read_text(path, digest)
            .map_err(|source| DefinitionError::Text { path: path.into(), source })?;
        self.texts.push((path.into(), text));
        Ok(self.texts.last().map_or("", |(_, text)| text))
    }

    /// A YAML file's keys over those of the files that it includes; of several, the last one's count most. As with
    /// lm-eval, whole values are replaced, not their parts.
    fn with_included(
        &mut self,
        path: &Path,
        deepest: usize,
        digest: &mut FilesDigest,
    ) -> Result<Map<String, Value>, DefinitionError> {
        let mut own = yaml_entries(path, self.add(path, digest)?)?;
        let mut entries = Map::new();
        for included in included(path, own.shift_remove("include"))? {
            if deepest == 0 {
                return Err(wrong_include(
                    path,
                    &included,
                    "files that do not include one another",
                ));
            }
            entries.extend(self.with_included(&beside(path, &included), deepest - 1, digest)?);
        }
        entries.extend(own);
        Ok(entries)
    }
}

fn beside(path: &Path, file: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(file)
}

fn included(path: &Path, include: Option<Value>) -> Result<Vec<String>, DefinitionError> {
    let files = match include {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(files)) => files,
        Some(file) => vec![file],
    };
    let file = |file: &Value| match file.as_str() {
        Some(file) if !file.is_empty() => Ok(file.to_owned()),
        _ => Err(wrong_include(
            path,
            file,
            "the path of a file, relative to this one, or a list of them",
        )),
    };
    files.iter().map(file).collect()
}

fn wrong_include(path: &Path, value: impl std::fmt::Display, expected: &str) -> DefinitionError {
    DefinitionError::Value {
        place: KeyPlace { path: path.into(), line: None },
        key: "include".into(),
        value: value.to_string(),
        expected: expected.into(),
    }
}

fn toml_entries(path: &Path, text: &str) -> Result<Map<String, Value>, DefinitionError> {
    let table: toml::Table = toml::from_str(text)
        .map_err(|source| DefinitionError::Toml { path: path.into(), source: Box::new(source) })?;
    Ok(table.into_iter().map(|(key, value)| (key, json(value))).collect())
}

fn yaml_entries(path: &Path, text: &str) -> Result<Map<String, Value>, DefinitionError> {
    let options = serde_saphyr::options! { reject_unsupported_tags: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        python_code(path, text).unwrap_or_else(|| DefinitionError::Yaml {
            path: path.into(),
            message: error.to_string(),
        })
    })
}

/// The error for the first key with a `!function` tag, which names a Python function beside the file.
fn python_code(path: &Path, text: &str) -> Option<DefinitionError> {
    text.lines().enumerate().find_map(|(index, line)| {
        let (key, value) = line.split_once(':')?;
        let value = value.trim();
        value.starts_with("!function").then(|| DefinitionError::Unsupported {
            place: KeyPlace { path: path.into(), line: Some(index + 1) },
            key: key.trim().trim_start_matches("- ").to_owned(),
            value: format!("`{value}`"),
            reason: "it names Python code, which is never run here; write it as a Jinja template, or prepare the \
                     documents beforehand",
        })
    })
}

/// A key of an inner table may stand anywhere, one of the file's own only at the beginning of a line.
fn begins_with_key(line: &str, name: &str, is_inner: bool) -> bool {
    let line = match is_inner {
        true => line.trim_start().trim_start_matches("- "),
        false => line,
    };
    let line = line.trim_start_matches(['"', '\'', '[']);
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
