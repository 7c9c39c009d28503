//! `dataset_*`, `[where]` and `[conversation]`: which rows a task is made of.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::DefinitionError;
use super::table::Table;
use super::{Conversation, Dataset, DatasetPath, DefinitionNote, Format};

/// The split of files that are given without one, as in the `datasets` library.
const ONLY_SPLIT: &str = "train";

/// `dataset_path` and what belongs to it.
pub fn dataset(
    table: &Table,
    notes: &mut Vec<DefinitionNote>,
) -> Result<Option<Dataset>, DefinitionError> {
    let Some(path) = table.name("dataset_path")? else { return without(table) };
    let kwargs = table.table("dataset_kwargs", &["revision", "data_files", "trust_remote_code"])?;
    let revision = kwargs.as_ref().map_or(Ok(None), |kwargs| kwargs.name("revision"))?;
    let files = kwargs.as_ref().map_or(Ok(BTreeMap::new()), files)?;
    if let Some(kwargs) = &kwargs
        && kwargs.flag("trust_remote_code")? == Some(true)
    {
        notes.push(DefinitionNote::CodeNotRun);
    }
    let path = place(table, path, revision)?;
    if matches!(path, DatasetPath::Local(_)) && files.is_empty() {
        return Err(table.missing(
            "dataset_kwargs.data_files",
            "the files of each split, such as { train = \"train.jsonl\" }",
        ));
    }
    Ok(Some(Dataset { path, name: table.name("dataset_name")?, files }))
}

fn without(table: &Table) -> Result<Option<Dataset>, DefinitionError> {
    match ["dataset_name", "dataset_kwargs", "where"].into_iter().find(|key| table.has(key)) {
        Some(_) => Err(table.missing("dataset_path", EXPECTED_PATH)),
        None => Ok(None),
    }
}

const EXPECTED_PATH: &str = "a hub data set `owner/name`, or one of `json`, `csv`, `parquet`, `kit` for files beside the task file";

fn place(
    table: &Table,
    path: String,
    revision: Option<String>,
) -> Result<DatasetPath, DefinitionError> {
    let format = match path.as_str() {
        "json" => Format::Json,
        "csv" => Format::Csv,
        "parquet" => Format::Parquet,
        "kit" => Format::Kit,
        _ if is_hub_id(&path) => return Ok(DatasetPath::Hub { id: path, revision }),
        _ => return Err(table.wrong("dataset_path", EXPECTED_PATH)),
    };
    match revision {
        Some(_) => {
            Err(table.both("dataset_kwargs.revision", &format!("dataset_path = \"{path}\"")))
        }
        None => Ok(DatasetPath::Local(format)),
    }
}

/// One or two names of letters, digits, `-`, `_` and `.`, as `huggingface_hub` checks them.
fn is_hub_id(id: &str) -> bool {
    let names: Vec<&str> = id.split('/').collect();
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = |name: &str| {
        !name.is_empty()
            && name.chars().all(letter)
            && !name.starts_with(['.', '-'])
            && !name.contains("..")
    };
    names.len() <= 2 && names.into_iter().all(is_name)
}

fn files(kwargs: &Table) -> Result<BTreeMap<String, Vec<String>>, DefinitionError> {
    let Some(Value::Object(splits)) = kwargs.get("data_files") else {
        let only = kwargs.texts("data_files")?;
        return Ok(only.map(|files| (ONLY_SPLIT.to_owned(), files)).into_iter().collect());
    };
    let splits = Table::open(kwargs.file, &kwargs.full("data_files"), splits);
    let mut files = BTreeMap::new();
    for split in splits.entries().keys() {
        let named = splits.texts(split)?.unwrap_or_default();
        if named.is_empty() || named.iter().any(|file| file.contains("://")) {
            return Err(splits.wrong(split, "a path or a list of paths, none of them a URL"));
        }
        files.insert(split.clone(), named);
    }
    Ok(files)
}

/// `[where]`.
pub fn keep(table: &Table) -> Result<Vec<(String, Vec<String>)>, DefinitionError> {
    let Some(fields) = table.map("where")? else { return Ok(Vec::new()) };
    let fields = Table::open(table.file, "where", fields);
    let mut keep = Vec::new();
    for field in fields.entries().keys() {
        match fields.texts(field)? {
            Some(values) if !values.is_empty() => keep.push((field.clone(), values)),
            _ => return Err(fields.wrong(field, "a value of the field, or a list of values")),
        }
    }
    Ok(keep)
}

/// `[conversation]`.
pub fn conversation(table: &Table) -> Result<Option<Conversation>, DefinitionError> {
    let keys = ["id", "parent", "role", "text", "prompter", "assistant", "rank"];
    let Some(fields) = table.table("conversation", &keys)? else { return Ok(None) };
    let field = |key| fields.required(key, "the name of a field");
    Ok(Some(Conversation {
        id: field("id")?,
        parent: field("parent")?,
        role: field("role")?,
        text: field("text")?,
        prompter: fields.name("prompter")?.unwrap_or_else(|| "prompter".to_owned()),
        assistant: fields.name("assistant")?.unwrap_or_else(|| "assistant".to_owned()),
        rank: fields.name("rank")?,
    }))
}
