//! The outcome of every document of one trial: a file of `items/`.

use polars::prelude::*;

use super::table::Table;
use super::{RecordError, RunManifest, Trial};
use crate::outcome::{ItemScore, TaskScore};
use crate::units::Split;

/// Columns `trial, split, task, doc, score, chosen, margin`, ordered by task, then doc (its position among the scored
/// documents of the split). No rows for an infeasible trial.
pub(super) fn item_columns(trial: &Trial) -> Vec<Column> {
    vec![
        column("trial", trial, |_| trial.trial),
        column("split", trial, |_| trial.split.as_str()),
        column("task", trial, |item| item.task),
        column("doc", trial, |item| item.doc),
        column("score", trial, |item| item.score.score),
        column("chosen", trial, |item| item.score.chosen),
        column("margin", trial, |item| item.score.margin),
    ]
}

struct Item<'a> {
    task: &'a str,
    doc: u32,
    score: ItemScore,
}

fn column<'a, T>(name: &str, trial: &'a Trial, value: impl Fn(Item<'a>) -> T) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    let values: Vec<T> = items_of(trial).map(value).collect();
    Column::new(name.into(), values)
}

fn items_of(trial: &Trial) -> impl Iterator<Item = Item<'_>> {
    let tasks = (trial.outcome.evaluation().into_iter()).flat_map(|evaluation| &evaluation.tasks);
    tasks.flat_map(move |scored| {
        (0u32..).zip(&scored.items).map(move |(doc, score)| Item {
            task: &scored.task,
            doc,
            score: *score,
        })
    })
}

/// Reads the documents of `trial` on `split` back, by task; the tasks' other metrics are not here.
///
/// # Errors
/// When they are not exactly the `count` rows that the trial's own row announces.
pub(super) fn read_items(
    table: &Table,
    trial: u64,
    split: Split,
    count: u64,
    manifest: &RunManifest,
) -> Result<Vec<TaskScore>, RecordError> {
    let mut rows = Rows::new(table)?;
    let tasks = (manifest.task_names())
        .map(|task| {
            let items = rows.take(trial, split, task)?;
            Ok(TaskScore { task: task.to_owned(), items, others: Vec::new() })
        })
        .collect::<Result<Vec<_>, RecordError>>()?;
    if rows.next == table.height() && count == rows.next as u64 {
        return Ok(tasks);
    }
    Err(RecordError::MissingItems { path: table.path.clone(), trial, split })
}

struct Rows<'a> {
    table: &'a Table,
    trial: &'a UInt64Chunked,
    split: &'a StringChunked,
    task: &'a StringChunked,
    doc: &'a UInt32Chunked,
    score: &'a Float64Chunked,
    chosen: &'a UInt32Chunked,
    margin: &'a Float32Chunked,
    next: usize,
}

impl<'a> Rows<'a> {
    fn new(table: &'a Table) -> Result<Self, RecordError> {
        Ok(Rows {
            table,
            trial: table.u64("trial")?,
            split: table.str("split")?,
            task: table.str("task")?,
            doc: table.u32("doc")?,
            score: table.f64("score")?,
            chosen: table.u32("chosen")?,
            margin: table.f32("margin")?,
            next: 0,
        })
    }

    /// The rows from here on that are the next documents of `task`.
    fn take(
        &mut self,
        trial: u64,
        split: Split,
        task: &str,
    ) -> Result<Vec<ItemScore>, RecordError> {
        let mut items = Vec::new();
        while self.next < self.table.height()
            && self.trial.get(self.next) == Some(trial)
            && self.split.get(self.next) == Some(split.as_str())
            && self.task.get(self.next) == Some(task)
            && self.doc.get(self.next) == Some(items.len() as u32)
        {
            items.push(self.item()?);
            self.next += 1;
        }
        Ok(items)
    }

    fn item(&self) -> Result<ItemScore, RecordError> {
        let row = self.next;
        let invalid = |column| self.table.invalid(row, column);
        Ok(ItemScore {
            score: self.score.get(row).ok_or_else(|| invalid("score"))?,
            chosen: self.chosen.get(row),
            margin: self.margin.get(row).ok_or_else(|| invalid("margin"))?,
        })
    }
}
