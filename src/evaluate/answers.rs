//! What log-likelihoods say, document by document, for those who want to see more than accuracies.

use tokenizers::Tokenizer;

use super::questions::Questions;
use super::tokenize::Encoder;
use super::{ScoreError, TokenizeError};
use crate::model::spec::NetworkSpec;
use crate::outcome::TaskScore;
use crate::task::{Doc, Task};
use crate::units::Split;

/// The documents that were scored.
#[derive(Debug, Clone, Copy)]
pub struct Documents<'a> {
    /// In the order of the log-likelihoods.
    pub tasks: &'a [Task],
    /// Which documents of each.
    pub split: Split,
    /// The first so many of each task; all, if `None`.
    pub limit: Option<usize>,
}

impl<'a> Documents<'a> {
    /// The documents of one of the tasks.
    pub fn of(&self, task: &'a Task) -> &'a [Doc] {
        let docs = task.docs(self.split);
        docs.get(..self.limit.unwrap_or(docs.len())).unwrap_or(docs)
    }

    /// The chosen answers. `likelihoods` in nats, by task, document and choice, as [`super::ScoringSet::log_likelihoods`]
    /// gives them.
    ///
    /// # Errors
    /// One of them is not finite.
    pub fn decide(&self, likelihoods: &[Vec<Vec<f32>>]) -> Result<Vec<TaskScore>, ScoreError> {
        let score = |(task, likelihoods): (&'a Task, &Vec<Vec<f32>>)| {
            Questions::new(task, self.of(task)).score(likelihoods)
        };
        self.tasks.iter().zip(likelihoods).map(score).collect()
    }

    /// Number of tokens whose log-probabilities a choice's log-likelihood is the sum of, by task, document and choice;
    /// 0 where a classifier gives each choice a label.
    ///
    /// # Errors
    /// A document that the model cannot read.
    pub fn scored_tokens(
        &self,
        tokenizer: &Tokenizer,
        spec: &NetworkSpec,
    ) -> Result<Vec<Vec<Vec<usize>>>, TokenizeError> {
        let of_task = |task: &'a Task| {
            let encoder = Encoder { task, split: self.split, tokenizer, spec };
            let of_doc = |doc: &Doc| {
                let mut tokens: Vec<usize> =
                    encoder.encode(doc)?.iter().map(|sequence| sequence.scored.len()).collect();
                tokens.resize(doc.choices.len(), 0);
                Ok(tokens)
            };
            self.of(task).iter().map(of_doc).collect()
        };
        self.tasks.iter().map(of_task).collect()
    }
}
