//! The output's chat template: which text it is, and where it is written.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::recipe::{ChatFormat, ChatTemplate};

use super::VocabularyError;
use super::settings::{CONFIG, read_json};
use super::write::put;

const FILE: &str = "chat_template.jinja";
const KEY: &str = "chat_template";

/// The Jinja text that a recipe's choice stands for. `folders` are those of the models that are merged, in the recipe's
/// order.
///
/// `auto` is the text that most of the models have, blanks around it left out; of several, the one that comes first;
/// `None` where no model has one, and the output's tokenizer keeps what it has.
///
/// # Errors
/// A model's settings cannot be read.
pub fn chat_template(
    choice: &ChatTemplate,
    folders: &[&Path],
) -> Result<Option<String>, VocabularyError> {
    match choice {
        ChatTemplate::Auto => most_common(folders),
        ChatTemplate::Named(format) => Ok(Some(named(*format).to_owned())),
        ChatTemplate::Jinja(text) => Ok(Some(text.clone())),
    }
}

/// Gives the tokenizer in `dir` a chat template: `chat_template.jinja`, the only place it then has one.
///
/// # Errors
/// `tokenizer_config.json` cannot be read; a file cannot be written.
pub fn write_chat_template(dir: &Path, template: &str) -> Result<(), VocabularyError> {
    put(&dir.join(FILE), template)?;
    let config: Option<Map<String, Value>> = read_json(&dir.join(CONFIG))?;
    let Some(mut config) = config.filter(|config| config.contains_key(KEY)) else {
        return Ok(());
    };
    config.shift_remove(KEY);
    put(&dir.join(CONFIG), &format!("{:#}\n", Value::Object(config)))
}

fn named(format: ChatFormat) -> &'static str {
    match format {
        ChatFormat::Alpaca => include_str!("templates/alpaca.jinja"),
        ChatFormat::Chatml => include_str!("templates/chatml.jinja"),
        ChatFormat::Exaone => include_str!("templates/exaone.jinja"),
        ChatFormat::Llama3 => include_str!("templates/llama3.jinja"),
        ChatFormat::Mistral => include_str!("templates/mistral.jinja"),
    }
}

fn most_common(folders: &[&Path]) -> Result<Option<String>, VocabularyError> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for dir in folders {
        let Some(template) = of_model(dir)? else { continue };
        match counts.iter_mut().find(|(known, _)| known == template.trim()) {
            Some((_, count)) => *count += 1,
            None => counts.push((template.trim().to_owned(), 1)),
        }
    }
    // `max_by_key` would take the last of several.
    let most = counts.iter().map(|(_, count)| *count).max();
    Ok(counts.into_iter().find(|(_, count)| Some(*count) == most).map(|(template, _)| template))
}

/// A model's own template: the file, or else the entry of `tokenizer_config.json`.
fn of_model(dir: &Path) -> Result<Option<String>, VocabularyError> {
    let path = dir.join(FILE);
    if path.is_file() {
        let text = fs::read_to_string(&path);
        let text = text.map_err(|source| VocabularyError::Read { path, source })?;
        return Ok(Some(text).filter(|text| !text.is_empty()));
    }
    let config: Map<String, Value> = read_json(&dir.join(CONFIG))?.unwrap_or_default();
    let text = config.get(KEY).and_then(default_template);
    Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
}

/// One text, or several with names (`[{name, template}]`), of which `default` counts.
fn default_template(entry: &Value) -> Option<&str> {
    let named = |template: &&Value| template.get("name").and_then(Value::as_str) == Some("default");
    match entry {
        Value::String(text) => Some(text),
        Value::Array(several) => several.iter().find(named)?.get("template")?.as_str(),
        _ => None,
    }
}
