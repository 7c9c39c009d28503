//! A table of single answers, apart from any run: what `eval --per-doc` writes.

use std::path::Path;

use polars::prelude::*;

use super::RecordError;
use super::table::write_table;

/// One choice of one document.
#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceRow {
    /// Name of the task.
    pub task: String,
    /// Place of the document in its split, from 0.
    pub doc: u32,
    /// Line of the split's file, from 1.
    pub line: u32,
    /// Index of the choice.
    pub choice: u32,
    /// Of the choice given the prompt, in nats.
    pub log_likelihood: f64,
    /// Tokens of the choice.
    pub tokens: u32,
    /// Index of the right choice.
    pub target: u32,
    /// Index of the choice that the model takes.
    pub chosen: u32,
    /// Whether they are the same.
    pub correct: bool,
}

/// Writes the rows as a parquet file with the fields of [`ChoiceRow`] as columns, replacing `path` in one step.
///
/// # Errors
/// The file cannot be written.
pub fn write_choices(path: &Path, rows: &[ChoiceRow]) -> Result<(), RecordError> {
    let columns = vec![
        column("task", rows, |row| row.task.as_str()),
        column("doc", rows, |row| row.doc),
        column("line", rows, |row| row.line),
        column("choice", rows, |row| row.choice),
        column("log_likelihood", rows, |row| row.log_likelihood),
        column("tokens", rows, |row| row.tokens),
        column("target", rows, |row| row.target),
        column("chosen", rows, |row| row.chosen),
        column("correct", rows, |row| row.correct),
    ];
    write_table(path, columns)
}

fn column<'a, T>(name: &str, rows: &'a [ChoiceRow], value: impl Fn(&'a ChoiceRow) -> T) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Column::new(name.into(), rows.iter().map(value).collect::<Vec<T>>())
}
