//! What log-likelihoods say about each document.

use super::ScoreError;
use crate::outcome::{ItemScore, TaskScore};
use crate::task::{Doc, Metric, Task};

/// One task's documents without their text.
#[derive(Debug)]
pub(super) struct Questions {
    task: String,
    metric: Metric,
    docs: Vec<Question>,
}

#[derive(Debug)]
struct Question {
    target: usize,
    /// Length of each choice in characters, at least 1.
    characters: Vec<usize>,
}

impl Questions {
    pub fn new(task: &Task, docs: &[Doc]) -> Self {
        let docs = docs.iter().map(Question::new).collect();
        Questions { task: task.name.clone(), metric: task.metric, docs }
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.docs.len()
    }

    /// Takes its answers off a list of all tasks': document, choice.
    pub fn nest(&self, flat: &mut impl Iterator<Item = f32>) -> Vec<Vec<f32>> {
        self.docs.iter().map(|doc| flat.take(doc.characters.len()).collect()).collect()
    }

    /// `likelihoods`: document, choice.
    pub fn score(&self, likelihoods: &[Vec<f32>]) -> Result<TaskScore, ScoreError> {
        let items = self.docs.iter().zip(likelihoods).enumerate().map(|(index, (doc, choices))| {
            let non_finite = || ScoreError::NonFinite { task: self.task.clone(), doc: index };
            doc.score(self.metric, choices).ok_or_else(non_finite)
        });
        let items = items.collect::<Result<_, _>>()?;
        Ok(TaskScore { task: self.task.clone(), items, others: Vec::new() })
    }
}

impl Question {
    fn new(doc: &Doc) -> Self {
        let characters = doc.choices.iter().map(|choice| choice.chars().count().max(1)).collect();
        Question { target: doc.target, characters }
    }

    /// The margin is in the metric's own unit: nats, or nats per character. `None` if a number is not finite.
    fn score(&self, metric: Metric, likelihoods: &[f32]) -> Option<ItemScore> {
        let scores: Vec<f32> = match metric {
            Metric::Acc => likelihoods.to_vec(),
            Metric::AccNorm => {
                likelihoods.iter().zip(&self.characters).map(|(ll, &n)| ll / n as f32).collect()
            }
        };
        if scores.iter().any(|score| !score.is_finite()) {
            return None;
        }
        let chosen = first_greatest(&scores);
        let others = scores
            .iter()
            .enumerate()
            .filter(|(choice, _)| *choice != self.target)
            .map(|(_, score)| *score);
        let margin = scores[self.target] - others.fold(f32::NEG_INFINITY, f32::max);
        let score = f64::from(u8::from(chosen == self.target));
        Some(ItemScore { score, chosen: Some(chosen as u32), margin })
    }
}

/// Index of the greatest score; of equal ones the first, as numpy's argmax.
fn first_greatest(scores: &[f32]) -> usize {
    (1..scores.len()).fold(0, |best, next| if scores[next] > scores[best] { next } else { best })
}
