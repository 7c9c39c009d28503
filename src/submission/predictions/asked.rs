//! What a file of the starter kit asks.

use std::collections::BTreeMap;

use super::PredictionError;
use crate::task::{Doc, Place, Task};
use crate::units::Split;

/// One row that is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRow {
    /// Unique among the rows.
    pub id: String,
    /// How many there are to choose from; 0 where a text is asked for.
    pub choices: usize,
    /// Index of the task that has it.
    pub task: usize,
    /// Its place among all documents of that task, one split after another.
    pub doc: usize,
    /// Where it stands.
    pub place: Place,
}

/// The rows of the file that `tasks` were read from, in its order.
///
/// # Errors
/// A row without an id, or with another's.
pub fn asked_rows(tasks: &[Task]) -> Result<Vec<AskedRow>, PredictionError> {
    let of_task = |(index, task)| documents(task).enumerate().map(move |own| (index, own));
    let all = tasks.iter().enumerate().flat_map(of_task);
    let mut rows =
        all.map(|(task, (doc, own))| asked(task, doc, own)).collect::<Result<Vec<_>, _>>()?;
    rows.sort_by_key(|row| row.place.line);
    require_own_ids(&rows)?;
    Ok(rows)
}

fn documents(task: &Task) -> impl Iterator<Item = &Doc> {
    Split::ALL.into_iter().flat_map(|split| task.docs(split))
}

fn asked(task: usize, doc: usize, own: &Doc) -> Result<AskedRow, PredictionError> {
    let place = own.place.clone();
    match &own.id {
        Some(id) => {
            Ok(AskedRow { id: id.clone(), choices: own.answer.choices().len(), task, doc, place })
        }
        None => Err(PredictionError::NoId { place }),
    }
}

fn require_own_ids(rows: &[AskedRow]) -> Result<(), PredictionError> {
    let mut seen = BTreeMap::new();
    for row in rows {
        if let Some(first) = seen.insert(row.id.as_str(), &row.place) {
            let (first, second) = (first.clone(), row.place.clone());
            return Err(PredictionError::SameId { id: row.id.clone(), first, second });
        }
    }
    Ok(())
}
