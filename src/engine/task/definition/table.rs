//! Typed access to the keys of one table of a task file; every refusal names file, line, key, value and what is valid.

use serde_json::{Map, Value};

use super::error::DefinitionError;
use super::raw::TaskFile;
use crate::task::template::Template;

/// Values longer than this are cut in messages.
const SHOWN_CHARACTERS: usize = 80;

/// One table; absent keys and nulls are the same.
pub struct Table<'a> {
    pub file: &'a TaskFile,
    name: String,
    entries: &'a Map<String, Value>,
}

impl<'a> Table<'a> {
    /// # Errors
    /// A key that is not among `valid`.
    pub fn new(
        file: &'a TaskFile,
        name: &str,
        entries: &'a Map<String, Value>,
        valid: &[&str],
    ) -> Result<Self, DefinitionError> {
        let table = Table::open(file, name, entries);
        match entries.keys().find(|key| !valid.contains(&key.as_str())) {
            Some(key) => Err(table.unknown(key, valid)),
            None => Ok(table),
        }
    }

    /// A table whose keys are the user's own words.
    pub fn open(file: &'a TaskFile, name: &str, entries: &'a Map<String, Value>) -> Self {
        Table { file, name: name.to_owned(), entries }
    }

    pub fn entries(&self) -> &'a Map<String, Value> {
        self.entries
    }

    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.entries.get(key).filter(|value| !value.is_null())
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The key with the names of the tables around it.
    pub fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub fn table(&self, key: &str, valid: &[&str]) -> Result<Option<Table<'a>>, DefinitionError> {
        let entries = self.map(key)?;
        entries.map(|entries| Table::new(self.file, &self.full(key), entries, valid)).transpose()
    }

    pub fn map(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, DefinitionError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_object().map(Some).ok_or_else(|| self.wrong(key, "a table"))
    }

    pub fn list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, DefinitionError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_array().map(Some).ok_or_else(|| self.wrong(key, "a list"))
    }

    /// Text, which may be empty.
    pub fn text(&self, key: &str) -> Result<Option<String>, DefinitionError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(|text| Some(text.to_owned())).ok_or_else(|| self.wrong(key, "text"))
    }

    /// Text that is not blank.
    pub fn name(&self, key: &str) -> Result<Option<String>, DefinitionError> {
        match self.text(key)? {
            Some(text) if text.trim().is_empty() => Err(self.wrong(key, "text that is not empty")),
            text => Ok(text),
        }
    }

    pub fn required(&self, key: &str, expected: &str) -> Result<String, DefinitionError> {
        self.name(key)?.ok_or_else(|| self.missing(key, expected))
    }

    /// One text or a list of texts, none empty.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>, DefinitionError> {
        let expected = "a text, or a list of texts, none empty";
        let texts: Option<Vec<String>> = match self.get(key) {
            None => return Ok(None),
            Some(Value::String(text)) => Some(vec![text.clone()]),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(_) => None,
        };
        match texts.filter(|texts| !texts.iter().any(String::is_empty)) {
            Some(texts) => Ok(Some(texts)),
            None => Err(self.wrong(key, expected)),
        }
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, DefinitionError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(key, "true or false"))
    }

    pub fn count(&self, key: &str) -> Result<Option<usize>, DefinitionError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count.map(Some).ok_or_else(|| self.wrong(key, "a whole number, 0 or more"))
    }

    pub fn template(&self, key: &str) -> Result<Option<Template>, DefinitionError> {
        self.text(key)?.map(|text| self.compile(key, Template::parse(&text))).transpose()
    }

    /// A template in which one word alone may be meant as it is.
    pub fn prose(&self, key: &str) -> Result<Option<Template>, DefinitionError> {
        self.text(key)?.map(|text| self.compile(key, Template::prose(&text))).transpose()
    }

    fn compile(
        &self,
        key: &str,
        template: Result<Template, crate::task::template::TemplateError>,
    ) -> Result<Template, DefinitionError> {
        template.map_err(|source| DefinitionError::Template {
            place: self.file.place(&self.full(key)),
            key: self.full(key),
            source: Box::new(source),
        })
    }

    pub fn wrong(&self, key: &str, expected: impl Into<String>) -> DefinitionError {
        DefinitionError::Value {
            place: self.file.place(&self.full(key)),
            key: self.full(key),
            value: self.shown(key),
            expected: expected.into(),
        }
    }

    pub fn missing(&self, key: &str, expected: impl Into<String>) -> DefinitionError {
        let line = self.file.place(&self.name).line.filter(|_| !self.name.is_empty());
        let place = super::KeyPlace { line, ..self.file.place(&self.full(key)) };
        DefinitionError::Missing { place, key: self.full(key), expected: expected.into() }
    }

    pub fn unsupported(&self, key: &str, reason: &'static str) -> DefinitionError {
        DefinitionError::Unsupported {
            place: self.file.place(&self.full(key)),
            key: self.full(key),
            value: self.shown(key),
            reason,
        }
    }

    pub fn both(&self, key: &str, other: &str) -> DefinitionError {
        DefinitionError::Both {
            place: self.file.place(&self.full(key)),
            key: self.full(key),
            other: other.into(),
        }
    }

    fn unknown(&self, key: &str, valid: &[&str]) -> DefinitionError {
        DefinitionError::UnknownKey {
            place: self.file.place(&self.full(key)),
            key: self.full(key),
            closest: closest(key, valid).map(str::to_owned),
            valid: valid.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "),
        }
    }

    fn shown(&self, key: &str) -> String {
        let text = self.entries.get(key).map_or_else(String::new, Value::to_string);
        match text.char_indices().nth(SHOWN_CHARACTERS) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text,
        }
    }
}

/// The valid word that a near miss was meant to be: at most two letters wrong, and no more than half of them.
pub fn closest<'a>(word: &str, valid: &[&'a str]) -> Option<&'a str> {
    let distances = valid.iter().map(|known| (edit_distance(word, known), *known));
    let (distance, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && 2 * distance <= word.chars().count()).then_some(known)
}

/// Levenshtein's distance, one row of the matrix at a time.
fn edit_distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        let next = right.chars().enumerate().map(|(j, b)| {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let replaced = diagonal + usize::from(a != b);
            diagonal = above;
            before = replaced.min(above + 1).min(before + 1);
            before
        });
        row = std::iter::once(i + 1).chain(next.collect::<Vec<_>>()).collect();
    }
    row.last().copied().unwrap_or(0)
}
