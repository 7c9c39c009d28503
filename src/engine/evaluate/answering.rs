//! A model's answers to any number of documents, some at a time, so that memory does not grow with their number.

use std::collections::BTreeMap;

use super::questions::{finite, first_greatest};
use super::{
    AskError, DocAnswer, Documents, GeneratedText, Pool, ReadyModel, Room, ScoreError, ScoringSet,
    SetError,
};
use crate::outcome::DocSubset;
use crate::task::Task;

/// A document: index of its task, and its place among that task's documents of all splits, one split after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocIndex {
    /// Of the task.
    pub task: usize,
    /// Within the task.
    pub doc: usize,
}

/// What is asked of whom.
#[derive(Clone, Copy)]
pub struct Answering<'a> {
    /// The model; a routed one should be [fitted](ReadyModel::fitted_to) before.
    pub model: &'a ReadyModel,
    /// As the model is asked. Choices are made by the judged metric.
    pub tasks: &'a [Task],
    /// As the tasks' files ask, which is what the gate of a routed model sees.
    pub prompts: &'a [Task],
    /// For the activations.
    pub room: Room,
    /// What computes.
    pub pool: &'a Pool,
    /// Documents in memory at a time, at least 1. The answers have the same bits whatever it is.
    pub at_once: usize,
}

/// An answer to one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// What the judged metric compares, by choice, finite; empty where a text was asked for.
    pub scores: Vec<f64>,
    /// A text of the model's own, where it was asked for.
    pub text: Option<GeneratedText>,
    /// The prompt was too long for the model, and its first tokens were left out.
    pub truncated: bool,
}

impl Decided {
    /// Index of the greatest score; of equal ones the first.
    pub fn chosen(&self) -> Option<usize> {
        (!self.scores.is_empty()).then(|| first_greatest(&self.scores))
    }

    /// How far the greatest score is above the next one, in the metric's unit.
    pub fn margin(&self) -> Option<f64> {
        let chosen = self.chosen()?;
        let others = self.scores.iter().enumerate().filter(|(choice, _)| *choice != chosen);
        let next = others.map(|(_, score)| *score).reduce(f64::max)?;
        Some(self.scores.get(chosen)? - next)
    }
}

/// Some of the documents, task by task.
struct Portion {
    docs: DocSubset,
    /// By document its place among its task's.
    places: BTreeMap<DocIndex, usize>,
}

impl Answering<'_> {
    /// Prepares every document without asking the model: gives the number of answers that [`Self::decide`] will report.
    ///
    /// # Errors
    /// A document that the model cannot read or answer, before time is spent on others.
    pub fn check(&self, docs: &[DocIndex]) -> Result<usize, SetError> {
        let of_portion = |docs: &[DocIndex]| Ok(self.set(&self.portion(docs))?.answers());
        docs.chunks(self.at_once.max(1)).map(of_portion).sum()
    }

    /// The answers, in the order of `docs`, which are all different. `progress` is told how many have just been computed, from several threads.
    ///
    /// # Errors
    /// See [`AskError`]; numbers that are not finite.
    pub fn decide(
        &self,
        docs: &[DocIndex],
        progress: Option<&(dyn Fn(usize) + Sync)>,
    ) -> Result<Vec<Decided>, AskError> {
        let mut decided = Vec::with_capacity(docs.len());
        for docs in docs.chunks(self.at_once.max(1)) {
            let portion = self.portion(docs);
            let set = self.set(&portion)?;
            let (asked, prompts) =
                (self.documents(self.tasks, &portion), self.documents(self.prompts, &portion));
            let answers = self.model.ask(&set, &asked, &prompts, self.room, self.pool, progress)?;
            for doc in docs {
                decided.push(self.decided(*doc, &portion, &set, &answers)?);
            }
        }
        Ok(decided)
    }

    fn portion(&self, docs: &[DocIndex]) -> Portion {
        let mut own: Vec<Vec<u32>> = vec![Vec::new(); self.tasks.len()];
        let mut sorted = docs.to_vec();
        sorted.sort_unstable();
        let mut places = BTreeMap::new();
        for index in sorted {
            if let Some(own) = own.get_mut(index.task) {
                places.insert(index, own.len());
                own.push(index.doc as u32);
            }
        }
        Portion { docs: DocSubset(own), places }
    }

    fn documents<'d>(&self, tasks: &'d [Task], portion: &'d Portion) -> Documents<'d> {
        Documents { tasks, split: None, limit: None, docs: Some(&portion.docs) }
    }

    fn set(&self, portion: &Portion) -> Result<ScoringSet, SetError> {
        let documents = self.documents(self.tasks, portion);
        ScoringSet::new(&documents, &self.model.tokenizer, &*self.model.network, self.room)
    }

    fn decided(
        &self,
        index: DocIndex,
        portion: &Portion,
        set: &ScoringSet,
        answers: &[Vec<DocAnswer>],
    ) -> Result<Decided, AskError> {
        let place = portion.places.get(&index).copied();
        let found = place.and_then(|place| Some((place, answers.get(index.task)?.get(place)?)));
        let (place, answer) = found.ok_or(SetError::NoSuchDocuments)?;
        let scores = set.compared(index.task, place, answer).unwrap_or_default();
        if finite(&scores).is_none() {
            let task = self.tasks.get(index.task).map(|task| task.name.clone());
            let (task, doc) = (task.unwrap_or_default(), index.doc);
            return Err(ScoreError::NonFinite { task, doc }.into());
        }
        let text = answer.text.clone();
        let truncated =
            set.is_truncated(index.task, place) || text.as_ref().is_some_and(|text| text.truncated);
        Ok(Decided { scores, text, truncated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(scores: &[f64]) -> Decided {
        Decided { scores: scores.to_vec(), text: None, truncated: false }
    }

    #[test]
    fn the_margin_is_that_of_the_best_over_the_next() {
        let own = decided(&[-3.0, -1.0, -1.5, -9.0]);
        assert_eq!((own.chosen(), own.margin()), (Some(1), Some(0.5)));
        let equal = decided(&[-2.0, -1.0, -1.0]);
        assert_eq!((equal.chosen(), equal.margin()), (Some(1), Some(0.0)));
        assert_eq!((decided(&[]).chosen(), decided(&[]).margin()), (None, None));
    }
}
