//! The outcome of every document of one trial: a file of `items/`.

use polars::prelude::*;

use super::table::Table;
use super::{RecordError, RunManifest, Trial};
use crate::outcome::{DocSubset, ItemScore, TaskScore};
use crate::units::Split;

/// Columns `trial, split, rung, task, doc, score, chosen, margin`, ordered by task, then doc (its position among the scored
/// documents of the split). No rows for an infeasible trial.
pub(super) fn item_columns(trial: &Trial) -> Vec<Column> {
    vec![
        column("trial", trial, |_| trial.trial),
        column("split", trial, |_| trial.split.as_str()),
        column("rung", trial, |_| trial.rung),
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
    tasks.enumerate().flat_map(move |(index, scored)| {
        let positions = places(trial.docs.as_ref(), index);
        positions.zip(&scored.items).map(move |(doc, score)| Item {
            task: &scored.task,
            doc,
            score: *score,
        })
    })
}

/// Where a task's documents stand in the split, in order: those of a part, or one after another without end.
fn places(docs: Option<&DocSubset>, task: usize) -> impl Iterator<Item = u32> {
    let part = docs.map(|docs| docs.0.get(task).map_or(&[][..], Vec::as_slice));
    let end = if part.is_some() { 0 } else { u32::MAX };
    part.into_iter().flatten().copied().chain(0..end)
}

/// What a trial's own row says of its documents.
pub(super) struct Announced<'a> {
    pub trial: u64,
    pub split: Split,
    pub rung: u32,
    /// How many.
    pub items: u64,
    /// Which of the split; `None`: the first of each task.
    pub docs: Option<&'a DocSubset>,
}

/// Reads a trial's documents back, by task; the tasks' other metrics are not here.
///
/// # Errors
/// When they are not exactly the rows that the trial's own row announces.
pub(super) fn read_items(
    table: &Table,
    announced: &Announced,
    manifest: &RunManifest,
) -> Result<Vec<TaskScore>, RecordError> {
    let mut rows = Rows::new(table)?;
    let tasks = (manifest.task_names().enumerate())
        .map(|(index, task)| {
            let items = rows.take(announced, index, task)?;
            Ok(TaskScore { task: task.to_owned(), items, others: Vec::new() })
        })
        .collect::<Result<Vec<_>, RecordError>>()?;
    let asked = announced.docs.is_none_or(|docs| docs.docs() == rows.next);
    if rows.next == table.height() && announced.items == rows.next as u64 && asked {
        return Ok(tasks);
    }
    let Announced { trial, split, .. } = *announced;
    Err(RecordError::MissingItems { path: table.path.clone(), trial, split })
}

struct Rows<'a> {
    table: &'a Table,
    trial: &'a UInt64Chunked,
    split: &'a StringChunked,
    rung: &'a UInt32Chunked,
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
            rung: table.u32("rung")?,
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
        announced: &Announced,
        index: usize,
        task: &str,
    ) -> Result<Vec<ItemScore>, RecordError> {
        let mut items = Vec::new();
        for place in places(announced.docs, index) {
            if !self.is_at(announced, task, place) {
                break;
            }
            items.push(self.item()?);
            self.next += 1;
        }
        Ok(items)
    }

    fn is_at(&self, announced: &Announced, task: &str, doc: u32) -> bool {
        self.next < self.table.height()
            && self.trial.get(self.next) == Some(announced.trial)
            && self.split.get(self.next) == Some(announced.split.as_str())
            && self.rung.get(self.next) == Some(announced.rung)
            && self.task.get(self.next) == Some(task)
            && self.doc.get(self.next) == Some(doc)
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
