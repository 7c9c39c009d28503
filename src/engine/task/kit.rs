//! CSV files of the competition's starter kit as tasks: what its evaluation does with them.

use std::path::Path;

use super::TaskError;
use super::definition::{self, Definition};
use super::digest::FilesDigest;
use super::source::read_kit;

/// The kit's words for the kinds of rows, and what they mean here. Tokens of a written answer: the kit's `max_gen_len`.
const MULTIPLE_CHOICE: &str = r#"
output_type = "multiple_choice"
doc_to_choice = "answer_choices"
metric_list = [{ metric = "kit" }, { metric = "kit_fixed" }, { metric = "acc" }, { metric = "acc_norm" }]
"#;
const GENERATION: &str = r#"
output_type = "generate_until"
generation_kwargs = { until = [], max_gen_toks = 64 }
metric_list = [{ metric = "rougeL" }, { metric = "rouge1" }, { metric = "rouge2" }, { metric = "rougeLsum" }]
"#;

/// One task file's text for each kind of rows that the file has.
pub(super) fn definitions(file: &Path) -> Result<Vec<(Definition, FilesDigest)>, TaskError> {
    let rows = read_kit(file, &mut FilesDigest::default())?;
    let has = |kind: &str| {
        rows.iter().any(|row| row.fields.get("eval_type").and_then(|v| v.as_str()) == Some(kind))
    };
    let kinds = [("multiple_choice", MULTIPLE_CHOICE), ("generation", GENERATION)];
    let found: Vec<_> = kinds.into_iter().filter(|(kind, _)| has(kind)).collect();
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("kit");
    let single = found.len() == 1;
    let definition = |(kind, keys): (&str, &str)| {
        let name = if single { stem.to_owned() } else { format!("{stem}_{kind}") };
        let text = task_file(file, &name, kind, keys);
        Ok(definition::of_text(file, &text)?)
    };
    found.into_iter().map(definition).collect()
}

fn task_file(file: &Path, name: &str, kind: &str, keys: &str) -> String {
    let file_name = file.file_name().unwrap_or_default().to_string_lossy();
    // As TOML writes text, whatever is in it.
    let [name, file_name, kind] =
        [name, &file_name, kind].map(|text| toml::Value::String(text.to_owned()).to_string());
    format!(
        "task = {name}\ndataset_path = \"kit\"\nid = \"id\"\ndoc_to_text = \"input\"\ndoc_to_target = \"target\"\n\
         target_delimiter = \"\"\nvalidation_split = \"validation\"\n{keys}\n\
         [dataset_kwargs]\ndata_files = {{ validation = {file_name} }}\n[where]\neval_type = {kind}\n"
    )
}
