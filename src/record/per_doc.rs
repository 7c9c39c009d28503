//! A table of single answers, apart from any run: what `eval --per-doc` writes.

use std::path::Path;

use polars::prelude::*;

use super::RecordError;
use super::table::write_table;

/// One choice of one document, or one document that is answered by a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnswerRow {
    /// Name of the task.
    pub task: String,
    /// Place of the document among those scored, from 0.
    pub doc: u32,
    /// The file it is from.
    pub file: String,
    /// Line (of parquet, row) of the file, from 1.
    pub line: u32,
    /// The document's id, where the task names the field.
    pub id: Option<String>,
    /// Index of the choice.
    pub choice: Option<u32>,
    /// Of the choice, or of the first reference, given the prompt; in nats.
    pub log_likelihood: Option<f64>,
    /// Of the choice given nothing.
    pub unconditional: Option<f64>,
    /// As the starter kit scores the choice.
    pub kit: Option<f64>,
    /// The same with all tokens.
    pub kit_fixed: Option<f64>,
    /// Tokens that the first of these numbers is the sum of.
    pub tokens: Option<u32>,
    /// Index of the right choice, if known.
    pub target: Option<u32>,
    /// Index of the choice that the model takes by the judged metric.
    pub chosen: Option<u32>,
    /// By the judged metric, in `[0, 1]`.
    pub score: Option<f64>,
    /// What the model wrote.
    pub text: Option<String>,
    /// That text after the task's filters.
    pub filtered: Option<String>,
}

/// Writes the rows as a parquet file with the fields of [`AnswerRow`] as columns, replacing `path` in one step.
///
/// # Errors
/// The file cannot be written.
pub fn write_answers(path: &Path, rows: &[AnswerRow]) -> Result<(), RecordError> {
    let columns = vec![
        column("task", rows, |row| row.task.as_str()),
        column("doc", rows, |row| row.doc),
        column("file", rows, |row| row.file.as_str()),
        column("line", rows, |row| row.line),
        column("id", rows, |row| row.id.as_deref()),
        column("choice", rows, |row| row.choice),
        column("log_likelihood", rows, |row| row.log_likelihood),
        column("unconditional", rows, |row| row.unconditional),
        column("kit", rows, |row| row.kit),
        column("kit_fixed", rows, |row| row.kit_fixed),
        column("tokens", rows, |row| row.tokens),
        column("target", rows, |row| row.target),
        column("chosen", rows, |row| row.chosen),
        column("score", rows, |row| row.score),
        column("text", rows, |row| row.text.as_deref()),
        column("filtered", rows, |row| row.filtered.as_deref()),
    ];
    write_table(path, columns)
}

fn column<'a, T>(name: &str, rows: &'a [AnswerRow], value: impl Fn(&'a AnswerRow) -> T) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Column::new(name.into(), rows.iter().map(value).collect::<Vec<T>>())
}
