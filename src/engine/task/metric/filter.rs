//! lm-eval's filters: what a generated answer goes through before it is scored (lm-eval 0.4.13, `lm_eval/filters`).
//!
//! lm-eval's filters take a list of answers per document; here there is one answer, so that choosing among them is no step.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::MetricError;
use super::options::Options;
use super::python_re::Pattern;
use super::python_str;

/// One entry of `filter_list`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// lm-eval's name of the results, such as `strict-match`.
    pub name: String,
    /// In the order in which they are applied.
    pub filters: Vec<Filter>,
}

impl Pipeline {
    /// Reads one entry of `filter_list`: `{ name = "...", filter = [{ function = "...", ... }, ...] }`.
    ///
    /// # Errors
    /// An unknown, missing or mistyped key, or what [`Filter::parse`] refuses.
    pub fn parse(entry: &Map<String, Value>) -> Result<Pipeline, MetricError> {
        let options = Options { owner: "an entry of `filter_list`".to_owned(), given: entry };
        options.only(&["name", "filter"])?;
        let Some(Value::String(name)) = entry.get("name") else {
            return Err(options.unusable("name", "a string"));
        };
        let tables = || entry.get("filter")?.as_array()?.iter().map(Value::as_object).collect();
        let Some(steps): Option<Vec<_>> = tables() else {
            return Err(options.unusable("filter", "a list of tables, each with `function`"));
        };
        let filters = steps.into_iter().map(Filter::parse).collect::<Result<_, _>>()?;
        Ok(Pipeline { name: name.clone(), filters })
    }

    /// What is scored in place of `text`.
    pub fn apply(&self, text: &str) -> String {
        self.filters.iter().fold(text.to_owned(), |text, filter| filter.apply(&text))
    }
}

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// `regex`: what the pattern finds, without blanks at its ends.
    Regex {
        /// Of Python's `re`. Of several groups, the first that is not empty counts.
        pattern: Pattern,
        /// Which of the matches, from 0; below 0 from the last, which is -1.
        group_select: i64,
        /// The answer if there is no such match, or if the search was given up because it backtracks without end.
        /// (lm-eval stops with an error if there are matches but not that many.)
        fallback: String,
    },
    /// `remove_whitespace`: at both ends.
    RemoveWhitespace,
    /// `lowercase`.
    Lowercase,
    /// `uppercase`.
    Uppercase,
    /// `map`: what the whole text stands for.
    Map {
        /// The texts that are known, and what replaces them.
        mapping_dict: BTreeMap<String, String>,
        /// What replaces any other.
        default_value: String,
    },
    /// `take_first`, `take_first_k` with `k = 1` and `majority_vote`: of one answer, itself.
    TakeFirst,
}

const NAMES: &[&str] = &[
    "regex",
    "remove_whitespace",
    "lowercase",
    "uppercase",
    "map",
    "take_first",
    "take_first_k",
    "majority_vote",
];

/// Filters of lm-eval that need more than the text of one answer, and what they need.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("multi_choice_regex", "it needs the choices of the document"),
    ("regex_pos", "its results are lists of tags"),
    ("format_span", "it is made for one task's named entities"),
    ("custom", "it is a Python function"),
    ("decontaminate", "it needs a table of contaminated documents"),
];

impl Filter {
    /// Reads `{ function = "...", ...options }`.
    ///
    /// # Errors
    /// A filter that is unknown or needs more than one answer's text, an option that it does not have or that is mistyped, a
    /// pattern that cannot be compiled.
    pub fn parse(entry: &Map<String, Value>) -> Result<Filter, MetricError> {
        let Some(Value::String(name)) = entry.get("function") else {
            let options = Options { owner: "a filter".to_owned(), given: entry };
            return Err(options.unusable("function", &NAMES.join(", ")));
        };
        let options = Options { owner: format!("filter `{name}`"), given: entry };
        let plain = |filter| options.only(&["function"]).map(|()| filter);
        match name.as_str() {
            "regex" => regex(&options),
            "remove_whitespace" => plain(Filter::RemoveWhitespace),
            "lowercase" => plain(Filter::Lowercase),
            "uppercase" => plain(Filter::Uppercase),
            "map" => map(&options),
            "take_first" | "majority_vote" => plain(Filter::TakeFirst),
            "take_first_k" => take_first_k(&options),
            _ => Err(no_filter(name)),
        }
    }

    /// What is left of `text`.
    pub fn apply(&self, text: &str) -> String {
        match self {
            Filter::Regex { pattern, group_select, fallback } => {
                select(pattern, *group_select, fallback, text).unwrap_or_else(|| fallback.clone())
            }
            Filter::RemoveWhitespace => python_str::strip(text).to_owned(),
            Filter::Lowercase => text.to_lowercase(),
            Filter::Uppercase => text.to_uppercase(),
            Filter::Map { mapping_dict, default_value } => {
                mapping_dict.get(text).unwrap_or(default_value).clone()
            }
            Filter::TakeFirst => text.to_owned(),
        }
    }
}

fn no_filter(name: &str) -> MetricError {
    let (name, valid) = (name.to_owned(), NAMES.join(", "));
    match UNSUPPORTED.iter().find(|(unsupported, _)| *unsupported == name) {
        Some((_, reason)) => MetricError::UnsupportedFilter { name, reason, valid },
        None => MetricError::UnknownFilter { name, valid },
    }
}

fn regex(options: &Options<'_>) -> Result<Filter, MetricError> {
    options.only(&["function", "regex_pattern", "group_select", "fallback"])?;
    Ok(Filter::Regex {
        pattern: options.pattern("regex_pattern", r"#### (\-?[0-9\.\,]+)")?,
        group_select: options.integer("group_select", 0)?,
        fallback: options.text("fallback", "[invalid]")?.to_owned(),
    })
}

fn take_first_k(options: &Options<'_>) -> Result<Filter, MetricError> {
    options.only(&["function", "k"])?;
    match options.given.get("k").and_then(Value::as_u64) {
        Some(1) => Ok(Filter::TakeFirst),
        _ => Err(options.unusable("k", "1, since one answer is generated per document")),
    }
}

fn map(options: &Options<'_>) -> Result<Filter, MetricError> {
    options.only(&["function", "mapping_dict", "default_value"])?;
    let expected = "a table of strings or integers";
    let known = options.given.get("mapping_dict").and_then(Value::as_object);
    let texts = known.and_then(|known| {
        known.iter().map(|(from, to)| Some((from.clone(), answer(to)?))).collect()
    });
    Ok(Filter::Map {
        mapping_dict: texts.ok_or_else(|| options.unusable("mapping_dict", expected))?,
        default_value: options
            .given
            .get("default_value")
            .and_then(answer)
            .ok_or_else(|| options.unusable("default_value", "a string or an integer"))?,
    })
}

/// A string, or an integer as Python's `str` writes it.
fn answer(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// The chosen match, if there is one; if all of its groups are empty, the fallback, which then loses its blanks too.
fn select(pattern: &Pattern, group_select: i64, fallback: &str, text: &str) -> Option<String> {
    let matches = pattern.find_all(text).ok()?;
    let from_end = usize::try_from(group_select.unsigned_abs()).ok()?;
    let index = if group_select < 0 { matches.len().checked_sub(from_end)? } else { from_end };
    let found = match matches.get(index)?.as_slice() {
        [one] => one,
        several => several.iter().find(|group| !group.is_empty()).unwrap_or(&fallback),
    };
    Some(python_str::strip(found).to_owned())
}
