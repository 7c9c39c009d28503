//! What the files of a folder say: headers of weights, configs, the card.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::{RepositoryFacts, Told, WeightFiles, card};
use crate::checkpoint::{CheckpointError, Headers};

const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

const PICKLES: [&str; 3] =
    ["pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin"];

/// `name` is what messages call the folder.
pub(super) fn read(folder: &Path, name: &str) -> RepositoryFacts {
    let mut facts = RepositoryFacts::default();
    if let Some(text) = text(folder, "README.md", name, &mut facts.faults) {
        facts.fill(card::read(&text, &format!("{name}/README.md")));
    }
    let before = facts.faults.len();
    facts.config = json(folder, "config.json", name, &mut facts.faults);
    facts.adapter_config = json(folder, "adapter_config.json", name, &mut facts.faults);
    let base = facts.adapter_config.as_ref().and_then(base_of_adapter);
    facts.parents.extend(base);
    facts.chat_template = chat_template(folder, name, &mut facts.faults);
    count(folder, name, &mut facts);
    facts.weights = stored(folder, name, &facts, facts.faults.get(before..).unwrap_or_default());
    facts
}

/// `faults`: those of configs and weights.
fn stored(
    folder: &Path,
    name: &str,
    facts: &RepositoryFacts,
    faults: &[String],
) -> Option<Told<WeightFiles>> {
    let pickle = PICKLES.iter().find(|file| folder.join(file).is_file());
    match (&facts.bytes, pickle) {
        (None, Some(file)) if !has_safetensors(folder) => {
            Some(Told::new(WeightFiles::Pickled, format!("{name}/{file}, no safetensors")))
        }
        _ if !faults.is_empty() => Some(Told::new(WeightFiles::Damaged, faults.join("; "))),
        (Some(bytes), _) => Some(Told::new(WeightFiles::Safetensors, bytes.place.clone())),
        (None, _) => None,
    }
}

fn has_safetensors(folder: &Path) -> bool {
    let files = ["model.safetensors", "model.safetensors.index.json", ADAPTER_WEIGHTS];
    files.iter().any(|file| folder.join(file).is_file())
}

/// `base_model_name_or_path` of an adapter_config.json.
pub(super) fn base_of_adapter(config: &Told<Value>) -> Option<Told<String>> {
    let base = config.value.get("base_model_name_or_path")?.as_str()?;
    let place = format!("base_model_name_or_path in {}", config.place);
    (!base.is_empty()).then(|| Told::new(base.to_owned(), place))
}

fn text(folder: &Path, file: &str, name: &str, faults: &mut Vec<String>) -> Option<String> {
    match fs::read_to_string(folder.join(file)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            faults.push(format!("{name}/{file}: {error}"));
            None
        }
    }
}

fn json(folder: &Path, file: &str, name: &str, faults: &mut Vec<String>) -> Option<Told<Value>> {
    let text = text(folder, file, name, faults)?;
    let place = format!("{name}/{file}");
    match serde_json::from_str::<Value>(&text) {
        Ok(value) if value.is_object() => Some(Told::new(value, place)),
        Ok(_) => {
            faults.push(format!("{place} is not a JSON object"));
            None
        }
        Err(error) => {
            faults.push(format!("{place} is not JSON ({error})"));
            None
        }
    }
}

/// `None` where the folder has no file that would tell.
fn chat_template(folder: &Path, name: &str, faults: &mut Vec<String>) -> Option<Told<bool>> {
    let own = "chat_template.jinja";
    if folder.join(own).is_file() {
        return Some(Told::new(true, format!("{name}/{own}")));
    }
    let config = json(folder, "tokenizer_config.json", name, faults)?;
    let has = config.value.get("chat_template").is_some_and(|template| !template.is_null());
    Some(Told::new(has, format!("chat_template in {}", config.place)))
}

/// Elements and bytes of the weights, if the folder has any.
fn count(folder: &Path, name: &str, facts: &mut RepositoryFacts) {
    let headers = match Headers::of_model(folder) {
        Err(CheckpointError::NoSafetensors { .. }) if folder.join(ADAPTER_WEIGHTS).is_file() => {
            Headers::of_file(&folder.join(ADAPTER_WEIGHTS))
        }
        // Configs alone were fetched.
        Err(CheckpointError::NoSafetensors { pickled: false, .. }) => return,
        headers => headers,
    };
    match headers {
        Ok(headers) => {
            let config = facts.config.as_ref().map(|config| &config.value);
            let place = match headers.files.as_slice() {
                [file] => format!("header of {name}/{}", file_name(file)),
                files => format!("headers of {} files in {name}", files.len()),
            };
            facts.parameters = Some(Told::new(headers.elements(config), place));
            let place = format!("size of the weight files in {name}");
            facts.bytes = Some(Told::new(headers.bytes.0, place));
        }
        Err(error) => facts.faults.push(with_sources(&error)),
    }
}

fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// An error and what it comes from, on one line.
pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |source| source.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
