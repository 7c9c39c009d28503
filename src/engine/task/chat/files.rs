//! Which files of a tokenizer's folder hold its chat template and its special tokens.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::ChatError;

const TEMPLATE: &str = "chat_template.jinja";
const CONFIG: &str = "tokenizer_config.json";
const TOKENS_MAP: &str = "special_tokens_map.json";
const KEY: &str = "chat_template";
/// Of several templates with names, the one for dialogues without tools.
const DEFAULT: &str = "default";
const TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

pub struct Found {
    /// The file with the template.
    pub path: PathBuf,
    pub template: String,
    pub tokens: Map<String, Value>,
}

pub fn read(folder: &Path) -> Result<Option<Found>, ChatError> {
    let config_path = folder.join(CONFIG);
    let config = read_object(&config_path)?.unwrap_or_default();
    let template_path = folder.join(TEMPLATE);
    let (path, template) = match read_text(&template_path)? {
        Some(template) => (template_path, Some(template)),
        None => (config_path.clone(), default_template(&config_path, config.get(KEY))?),
    };
    let Some(template) = template.filter(|template| !template.is_empty()) else { return Ok(None) };
    let tokens = tokens(folder, &config_path, &config)?;
    Ok(Some(Found { path, template, tokens }))
}

/// One text, or several with names: `[{name, template}]`.
fn default_template(path: &Path, entry: Option<&Value>) -> Result<Option<String>, ChatError> {
    let wrong = |found: &str| ChatError::Settings {
        path: path.into(),
        message: format!(
            "`{KEY}` is {found}; expected a template, or a list of {{name, template}} with one named `{DEFAULT}`"
        ),
    };
    match entry {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Array(several)) => {
            let is_default =
                |one: &&Value| one.get("name").and_then(Value::as_str) == Some(DEFAULT);
            let default = several.iter().find(is_default).and_then(|one| one.get("template"));
            let text = default.and_then(Value::as_str);
            text.map(|text| Some(text.to_owned())).ok_or_else(|| wrong(&names(several)))
        }
        Some(other) => Err(wrong(&other.to_string())),
    }
}

fn names(templates: &[Value]) -> String {
    let names: Vec<_> = templates.iter().filter_map(|one| one.get("name")?.as_str()).collect();
    format!("a list of templates named {names:?}")
}

/// The configuration's tokens; a configuration that does not list its added tokens is an old one, and the separate file
/// of special tokens counts more, as in transformers 5.
fn tokens(
    folder: &Path,
    config_path: &Path,
    config: &Map<String, Value>,
) -> Result<Map<String, Value>, ChatError> {
    let map_path = folder.join(TOKENS_MAP);
    let map = match config.contains_key("added_tokens_decoder") {
        true => None,
        false => read_object(&map_path)?,
    };
    let mut tokens = Map::new();
    for key in TOKENS {
        let own =
            map.as_ref().and_then(|map| map.get(key)).map(|token| (token, map_path.as_path()));
        let Some((token, path)) = own.or_else(|| Some((config.get(key)?, config_path))) else {
            continue;
        };
        if let Some(text) = token_text(path, key, token)? {
            tokens.insert(key.to_owned(), Value::String(text));
        }
    }
    Ok(tokens)
}

/// A text, or a table whose `content` is the text.
fn token_text(path: &Path, key: &str, token: &Value) -> Result<Option<String>, ChatError> {
    let text = match token {
        Value::Null => return Ok(None),
        Value::Object(token) => token.get("content").and_then(Value::as_str),
        other => other.as_str(),
    };
    let text = text.map(|text| Some(text.to_owned()));
    text.ok_or_else(|| ChatError::Settings {
        path: path.into(),
        message: format!(
            "`{key}` is {token}; expected a text, or a table with the text as `content`"
        ),
    })
}

fn read_object(path: &Path) -> Result<Option<Map<String, Value>>, ChatError> {
    let Some(text) = read_text(path)? else { return Ok(None) };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| ChatError::Settings { path: path.into(), message: error.to_string() })
}

/// `None`: there is no such file.
fn read_text(path: &Path) -> Result<Option<String>, ChatError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ChatError::Read { path: path.into(), source }),
    }
}
