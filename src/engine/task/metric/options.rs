//! Typed reading of the options beside a metric's or a filter's name.

use serde_json::{Map, Value};

use super::error::MetricError;
use super::python_re::Pattern;

/// What a task file says beside a name.
pub(super) struct Options<'a> {
    /// Such as "metric `f1`", for messages.
    pub owner: String,
    pub given: &'a Map<String, Value>,
}

impl Options<'_> {
    /// An error if there is an option that `valid` does not have.
    pub fn only(&self, valid: &[&str]) -> Result<(), MetricError> {
        match self.given.keys().find(|option| !valid.contains(&option.as_str())) {
            None => Ok(()),
            Some(option) => Err(MetricError::UnknownOption {
                owner: self.owner.clone(),
                option: option.clone(),
                valid: if valid.is_empty() { "none".to_owned() } else { valid.join(", ") },
            }),
        }
    }

    pub fn unusable(&self, option: &str, expected: &str) -> MetricError {
        MetricError::Option {
            owner: self.owner.clone(),
            option: option.to_owned(),
            value: self.given.get(option).map_or("absent".to_owned(), Value::to_string),
            expected: expected.to_owned(),
        }
    }

    pub fn boolean(&self, option: &str, default: bool) -> Result<bool, MetricError> {
        match self.given.get(option) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(self.unusable(option, "true or false")),
        }
    }

    pub fn integer(&self, option: &str, default: i64) -> Result<i64, MetricError> {
        match self.given.get(option).map(Value::as_i64) {
            None => Ok(default),
            Some(Some(value)) => Ok(value),
            Some(None) => Err(self.unusable(option, "an integer")),
        }
    }

    pub fn text<'a>(&'a self, option: &str, default: &'a str) -> Result<&'a str, MetricError> {
        match self.given.get(option) {
            None => Ok(default),
            Some(Value::String(value)) => Ok(value),
            Some(_) => Err(self.unusable(option, "a string")),
        }
    }

    pub fn pattern(&self, option: &str, default: &str) -> Result<Pattern, MetricError> {
        self.compile(option, self.text(option, default)?)
    }

    /// A list of patterns, or none if the option is absent or null.
    pub fn patterns(&self, option: &str) -> Result<Vec<Pattern>, MetricError> {
        let expected = "a list of regular expressions";
        match self.given.get(option) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(list)) => list
                .iter()
                .map(|item| item.as_str().ok_or_else(|| self.unusable(option, expected)))
                .map(|pattern| self.compile(option, pattern?))
                .collect(),
            Some(_) => Err(self.unusable(option, expected)),
        }
    }

    fn compile(&self, option: &str, pattern: &str) -> Result<Pattern, MetricError> {
        Pattern::compile(pattern).map_err(|source| MetricError::Pattern {
            owner: self.owner.clone(),
            option: option.to_owned(),
            pattern: pattern.to_owned(),
            source,
        })
    }
}
