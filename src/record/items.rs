//! The outcome of every document of every trial of a part: the rows of `items/`.

use polars::prelude::*;

use super::table::Table;
use super::{RecordError, RunManifest, Trial};
use crate::outcome::{ItemScore, TaskScore};
use crate::units::Split;

/// Columns `trial, split, task, doc, correct, chosen, margin`, ordered by trial as in `trials/`, then task, then doc (its
/// position among the scored documents of the split).
pub(super) fn item_columns(trials: &[&Trial]) -> Vec<Column> {
    vec![
        column("trial", trials, |item| item.trial.trial),
        column("split", trials, |item| item.trial.split.as_str()),
        column("task", trials, |item| item.task),
        column("doc", trials, |item| item.doc),
        column("correct", trials, |item| item.score.correct),
        column("chosen", trials, |item| item.score.chosen),
        column("margin", trials, |item| item.score.margin),
    ]
}

struct Item<'a> {
    trial: &'a Trial,
    task: &'a str,
    doc: u32,
    score: ItemScore,
}

fn column<'a, T>(name: &str, trials: &[&'a Trial], value: impl Fn(Item<'a>) -> T) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    let values: Vec<T> = (trials.iter())
        .flat_map(|trial| items_of(trial))
        .map(value)
        .collect();
    Column::new(name.into(), values)
}

fn items_of(trial: &Trial) -> impl Iterator<Item = Item<'_>> {
    let tasks = (trial.outcome.evaluation().into_iter()).flat_map(|evaluation| &evaluation.tasks);
    tasks.flat_map(move |scored| {
        (0u32..).zip(&scored.items).map(move |(doc, score)| Item {
            trial,
            task: &scored.task,
            doc,
            score: *score,
        })
    })
}

/// Walks through an items file beside its trials file. Rows after the last trial's belong to a trial whose row was not
/// written any more, and are left out.
pub(super) struct ItemReader<'a> {
    table: &'a Table,
    trial: &'a UInt64Chunked,
    split: &'a StringChunked,
    task: &'a StringChunked,
    doc: &'a UInt32Chunked,
    correct: &'a BooleanChunked,
    chosen: &'a UInt32Chunked,
    margin: &'a Float32Chunked,
    next: usize,
}

impl<'a> ItemReader<'a> {
    pub(super) fn new(table: &'a Table) -> Result<Self, RecordError> {
        Ok(ItemReader {
            table,
            trial: table.u64("trial")?,
            split: table.str("split")?,
            task: table.str("task")?,
            doc: table.u32("doc")?,
            correct: table.bool("correct")?,
            chosen: table.u32("chosen")?,
            margin: table.f32("margin")?,
            next: 0,
        })
    }

    /// The next `count` rows, which must be those of `trial` on `split`, by task.
    pub(super) fn take(
        &mut self,
        trial: u64,
        split: Split,
        count: u64,
        manifest: &RunManifest,
    ) -> Result<Vec<TaskScore>, RecordError> {
        let end = self.next.saturating_add(count as usize);
        let tasks = (manifest.task_names())
            .map(|task| {
                Ok(TaskScore {
                    task: task.to_owned(),
                    items: self.take_task(trial, split, task, end)?,
                })
            })
            .collect::<Result<Vec<_>, RecordError>>()?;
        if self.next == end {
            return Ok(tasks);
        }
        Err(RecordError::MissingItems {
            path: self.table.path.clone(),
            trial,
            split,
        })
    }

    fn take_task(
        &mut self,
        trial: u64,
        split: Split,
        task: &str,
        end: usize,
    ) -> Result<Vec<ItemScore>, RecordError> {
        let mut items = Vec::new();
        while self.next < end.min(self.table.height())
            && self.trial.get(self.next) == Some(trial)
            && self.split.get(self.next) == Some(split.as_str())
            && self.task.get(self.next) == Some(task)
            && self.doc.get(self.next) == Some(items.len() as u32)
        {
            items.push(self.score()?);
            self.next += 1;
        }
        Ok(items)
    }

    fn score(&self) -> Result<ItemScore, RecordError> {
        let row = self.next;
        let invalid = |column| self.table.invalid(row, column);
        Ok(ItemScore {
            correct: self.correct.get(row).ok_or_else(|| invalid("correct"))?,
            chosen: self.chosen.get(row).ok_or_else(|| invalid("chosen"))?,
            margin: self.margin.get(row).ok_or_else(|| invalid("margin"))?,
        })
    }
}
