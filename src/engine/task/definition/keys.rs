//! Which keys a task file has.

use serde_json::{Map, Value};

use super::error::DefinitionError;
use super::table::Table;
use super::{Dialect, TaskFile};

/// lm-eval's keys that are read.
const LM_EVAL: &[&str] = &[
    "task",
    "task_alias",
    "tag",
    "description",
    "dataset_path",
    "dataset_name",
    "dataset_kwargs",
    "training_split",
    "validation_split",
    "test_split",
    "fewshot_split",
    "output_type",
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "target_delimiter",
    "fewshot_delimiter",
    "num_fewshot",
    "fewshot_config",
    "metric_list",
    "generation_kwargs",
    "filter_list",
    "repeats",
    "should_decontaminate",
    "doc_to_decontamination_query",
    "metadata",
];

/// Ours, in `task.toml` only.
const OURS: &[&str] = &[
    "summary",
    "license",
    "generated_by",
    "splits",
    "where",
    "id",
    "conversation",
    "metric",
    "add_bos_token",
    "system_instruction",
    "apply_chat_template",
    "fewshot_as_multiturn",
];

const CODE: &str =
    "Python code is never run here; prepare the documents beforehand, or write a Jinja template";
const GROUP: &str = "this is a group of tasks; name its tasks one by one";

/// lm-eval's keys that cannot be honoured, and why.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("include", "write the included keys into this file"),
    ("group", GROUP),
    ("group_alias", GROUP),
    ("aggregate_metric_list", GROUP),
    ("class", CODE),
    ("custom_dataset", CODE),
    ("process_docs", CODE),
    ("process_results", CODE),
    ("unsafe_code", CODE),
    ("recipe", "the task is made by a library of recipes; write its templates into this file"),
    (
        "use_prompt",
        "prompts of the promptsource library are not read; write the template into `doc_to_text`",
    ),
    ("doc_to_image", "models here read text only"),
    ("doc_to_audio", "models here read text only"),
    ("gen_prefix", "write the beginning of the answer at the end of `doc_to_text`"),
];

/// The whole file's table, all of whose keys can be honoured.
pub fn check<'a>(
    file: &'a TaskFile,
    entries: &'a Map<String, Value>,
) -> Result<Table<'a>, DefinitionError> {
    let open = Table::open(file, "", entries);
    for (key, reason) in UNSUPPORTED {
        if entries.get(*key).is_some_and(is_set) {
            return Err(open.unsupported(key, reason));
        }
    }
    if entries.get("task").is_some_and(Value::is_array) {
        return Err(open.unsupported("task", GROUP));
    }
    let unset = |key: &&str| entries.contains_key(*key);
    let idle = UNSUPPORTED.iter().map(|(key, _)| *key).filter(unset);
    let ours = if file.dialect == Dialect::Toml { OURS } else { &[] };
    let valid: Vec<&str> = LM_EVAL.iter().chain(ours).copied().chain(idle).collect();
    let table = Table::new(file, "", entries, &valid)?;
    accepted(&table)?;
    Ok(table)
}

/// `group: null` and `unsafe_code: false` say nothing.
fn is_set(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some("")
}

/// Keys that say nothing about a score are still what lm-eval takes them to be.
fn accepted(table: &Table) -> Result<(), DefinitionError> {
    table.texts("tag")?;
    table.text("task_alias")?;
    table.flag("should_decontaminate")?;
    table.text("doc_to_decontamination_query")?;
    match table.count("repeats")? {
        Some(repeats) if repeats != 1 => {
            Err(table
                .unsupported("repeats", "generation is greedy, so that every repeat is the same"))
        }
        _ => Ok(()),
    }
}
