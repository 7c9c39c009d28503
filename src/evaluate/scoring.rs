//! Log-likelihoods of the choices, and what they say about each document.

use tokenizers::Tokenizer;

use super::pack::{Pack, pack};
use super::tokenize::{Encoder, TokenizeError};
use crate::model::{Llama, LlamaConfig, Scratch, Sequence};
use crate::outcome::{ItemScore, TaskScore};
use crate::task::{Doc, Metric, Task};
use crate::units::Split;

/// Why a model could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// A candidate's fault: its numbers overflow.
    #[error("task {task}, document {doc}: the log-likelihood of a choice is not finite")]
    NonFinite {
        /// Name of the task.
        task: String,
        /// Index of the document within the split.
        doc: usize,
    },
    /// candle could not compute.
    #[error("computing log-likelihoods")]
    Candle(#[from] candle_core::Error),
}

/// Tokenized, packed documents: everything about scoring that does not depend on the weights.
#[derive(Debug)]
pub struct ScoringSet {
    tasks: Vec<Questions>,
    packs: Vec<Pack>,
}

/// One task's documents without their text.
#[derive(Debug)]
struct Questions {
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

impl ScoringSet {
    /// Prepares the first `limit` documents (all, if `None`) of each task's `split` for models of this shape.
    pub fn new(
        tasks: &[Task],
        split: Split,
        limit: Option<usize>,
        tokenizer: &Tokenizer,
        config: &LlamaConfig,
    ) -> Result<Self, TokenizeError> {
        let mut sequences: Vec<Sequence> = Vec::new();
        let mut questions = Vec::with_capacity(tasks.len());
        for task in tasks {
            let docs = task.docs(split);
            let docs = &docs[..limit.unwrap_or(docs.len()).min(docs.len())];
            let encoder = Encoder {
                task,
                split,
                tokenizer,
                config,
            };
            for doc in docs {
                sequences.extend(encoder.encode(doc)?);
            }
            let docs = docs.iter().map(Question::new).collect();
            questions.push(Questions {
                task: task.name.clone(),
                metric: task.metric,
                docs,
            });
        }
        Ok(ScoringSet {
            tasks: questions,
            packs: pack(&sequences),
        })
    }

    /// Number of documents over all tasks.
    pub fn docs(&self) -> usize {
        self.tasks.iter().map(|task| task.docs.len()).sum()
    }

    /// Number of tokens the model reads, shared beginnings counted once per pack.
    pub fn tokens(&self) -> usize {
        self.packs.iter().map(|pack| pack.forest.tokens.len()).sum()
    }

    /// Tokens of the largest pack: what the memory for activations grows with.
    pub fn largest_pack(&self) -> usize {
        self.packs.iter().map(|pack| pack.forest.tokens.len()).max().unwrap_or(0)
    }

    /// The chosen answer of every document, task by task. Runs on the calling thread.
    pub fn score(&self, model: &Llama) -> Result<Vec<TaskScore>, ScoreError> {
        let likelihoods = self.log_likelihoods(model)?;
        self.tasks
            .iter()
            .zip(&likelihoods)
            .map(|(task, docs)| task.score(docs))
            .collect()
    }

    /// Log-likelihood in nats of each choice: task, document, choice.
    pub fn log_likelihoods(&self, model: &Llama) -> Result<Vec<Vec<Vec<f32>>>, ScoreError> {
        let mut flat = vec![0f32; self.packs.iter().map(|pack| pack.places.len()).sum()];
        let mut scratch = Scratch::new()?;
        for pack in &self.packs {
            let scores = model.log_probabilities(&pack.forest, &mut scratch)?;
            for (&place, span) in pack.places.iter().zip(&pack.forest.spans) {
                flat[place] = scores[span.clone()]
                    .iter()
                    .map(|&score| f64::from(score))
                    .sum::<f64>() as f32;
            }
        }
        let mut flat = flat.into_iter();
        Ok(self.tasks.iter().map(|task| task.nest(&mut flat)).collect())
    }

    /// A fixed twentieth of the packs, spread over the set and at least one, for timing two models back to back:
    /// call [`Llama::log_probabilities`] on each pack's forest.
    pub fn timing_packs(&self) -> Vec<&Pack> {
        self.packs.iter().step_by(20).collect()
    }
}

impl Questions {
    fn nest(&self, flat: &mut impl Iterator<Item = f32>) -> Vec<Vec<f32>> {
        self.docs
            .iter()
            .map(|doc| flat.take(doc.characters.len()).collect())
            .collect()
    }

    fn score(&self, likelihoods: &[Vec<f32>]) -> Result<TaskScore, ScoreError> {
        let items = self
            .docs
            .iter()
            .zip(likelihoods)
            .enumerate()
            .map(|(index, (doc, choices))| {
                let non_finite = || ScoreError::NonFinite {
                    task: self.task.clone(),
                    doc: index,
                };
                doc.score(self.metric, choices).ok_or_else(non_finite)
            });
        Ok(TaskScore {
            task: self.task.clone(),
            items: items.collect::<Result<_, _>>()?,
        })
    }
}

impl Question {
    fn new(doc: &Doc) -> Self {
        let characters = doc
            .choices
            .iter()
            .map(|choice| choice.chars().count().max(1))
            .collect();
        Question {
            target: doc.target,
            characters,
        }
    }

    /// The margin is in the metric's own unit: nats, or nats per character. `None` if a number is not finite.
    fn score(&self, metric: Metric, likelihoods: &[f32]) -> Option<ItemScore> {
        let scores: Vec<f32> = match metric {
            Metric::Acc => likelihoods.to_vec(),
            Metric::AccNorm => likelihoods
                .iter()
                .zip(&self.characters)
                .map(|(ll, &n)| ll / n as f32)
                .collect(),
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
        Some(ItemScore {
            correct: chosen == self.target,
            chosen: chosen as u32,
            margin,
        })
    }
}

/// Index of the greatest score; of equal ones the first, as numpy's argmax.
fn first_greatest(scores: &[f32]) -> usize {
    (1..scores.len()).fold(0, |best, next| {
        if scores[next] > scores[best] {
            next
        } else {
            best
        }
    })
}
