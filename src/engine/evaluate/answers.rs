//! What a model answered, document by document.

use super::columns::Column;
use super::generation::GeneratedText;
use crate::outcome::DocSubset;
use crate::task::{Doc, Task};
use crate::units::Split;

/// The documents that are scored.
#[derive(Debug, Clone, Copy)]
pub struct Documents<'a> {
    /// In the order of the scores.
    pub tasks: &'a [Task],
    /// Which documents of each; all, if `None`.
    pub split: Option<Split>,
    /// The first so many of each task; all, if `None`.
    pub limit: Option<usize>,
    /// Those of them whose positions are named; all, if `None`.
    pub docs: Option<&'a DocSubset>,
}

impl<'a> Documents<'a> {
    /// The documents of the task with this index; of all splits, one split after another. Nothing where there is no such
    /// task.
    pub fn of(&self, task: usize) -> Vec<&'a Doc> {
        let Some(all) = self.tasks.get(task).map(|task| self.all_of(task)) else {
            return Vec::new();
        };
        let Some(docs) = self.docs else { return all };
        let positions = docs.0.get(task).map_or(&[][..], Vec::as_slice);
        positions.iter().filter_map(|&doc| all.get(doc as usize).copied()).collect()
    }

    /// Whether `docs` names documents that are there, in order.
    pub(super) fn are_there(&self) -> bool {
        let counts: Vec<usize> = self.tasks.iter().map(|task| self.all_of(task).len()).collect();
        self.docs.is_none_or(|docs| docs.fits(&counts))
    }

    fn all_of(&self, task: &'a Task) -> Vec<&'a Doc> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let splits = Split::ALL.into_iter().filter(|split| self.split.is_none_or(|s| s == *split));
        splits.flat_map(|split| task.docs(split)).take(limit).collect()
    }
}

/// What a model answered to one document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DocAnswer {
    /// Log-likelihood of each choice in nats, for every kind that the task's metrics need.
    pub choices: Vec<(Column, Vec<f32>)>,
    /// Tokens that were summed over, in the same order.
    pub choice_tokens: Vec<Vec<usize>>,
    /// Log-likelihood of the first reference in nats and its tokens, where a metric needs it.
    pub reference: Option<(f32, usize)>,
    /// A text of the model's own, where a metric needs it.
    pub text: Option<GeneratedText>,
}

impl DocAnswer {
    /// Log-likelihoods of one kind.
    pub fn of(&self, column: Column) -> Option<&[f32]> {
        let found = self.choices.iter().find(|(own, _)| *own == column);
        found.map(|(_, likelihoods)| likelihoods.as_slice())
    }
}
