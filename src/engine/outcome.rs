//! What was measured of one recipe on one split or a part of it, or why it could not be.
//!
//! Comes up from [`crate::evaluate`] to the search and its record; knows neither tensors nor genes.

mod joined;
mod subset;
mod timing;

use serde::Serialize;

pub use joined::JoinError;
pub use subset::DocSubset;
pub use timing::{Cost, Timing};

use crate::units::{Accuracy, Bytes, Seconds};

/// The result of one trial. A candidate that cannot be built or scored is data, not an error.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Every document that was asked for was scored.
    Feasible(Evaluation),
    /// The recipe could not be merged, or the merged model gave no finite score.
    Infeasible {
        /// One sentence for the `reason` column.
        reason: String,
    },
}

impl Outcome {
    /// The measurement, where there is one.
    pub fn evaluation(&self) -> Option<&Evaluation> {
        match self {
            Outcome::Feasible(evaluation) => Some(evaluation),
            Outcome::Infeasible { .. } => None,
        }
    }
}

/// Scores and costs of one merged model on one split or a part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// One entry per task, in the order of the search space.
    pub tasks: Vec<TaskScore>,
    /// Time for merging in memory, on one core.
    pub merge_seconds: Seconds,
    /// Time for scoring all documents, on one core; less than usual where an earlier candidate had the same first layers.
    pub score_seconds: Seconds,
    /// Scoring time divided by the number of documents.
    pub seconds_per_item: Seconds,
    /// Time of a fixed block of documents, from tokens to answers, divided by the base model's time for the same documents,
    /// measured in turns on one thread by that thread's clock (1 = as fast as the base model).
    pub relative_time: f64,
    /// Highest resident memory of the process so far.
    pub peak_bytes: Bytes,
    /// What scoring takes whatever the machine.
    pub cost: Cost,
}

impl Evaluation {
    /// Number of documents scored over all tasks.
    pub fn items(&self) -> usize {
        self.tasks.iter().map(|task| task.items.len()).sum()
    }
}

/// Outcome of each document of one task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskScore {
    /// The task's name, as in its `task.toml`.
    pub task: String,
    /// One entry per document that was scored, in the split's order.
    pub items: Vec<ItemScore>,
    /// The task's metrics besides the judged one, in the task file's order, without those that the model's tokenizer has
    /// no answer to.
    pub others: Vec<MetricScore>,
}

impl TaskScore {
    /// Mean over the documents of the judged metric, the first of the task's: lm-eval's `acc`, `acc_norm`, `rougeL`, …
    /// NaN without documents.
    pub fn accuracy(&self) -> Accuracy {
        let sum: f64 = self.items.iter().map(|item| item.score).sum();
        Accuracy(sum / self.items.len() as f64)
    }

    /// Mean over the documents of [`ItemScore::margin`], in nats; 0 without documents.
    pub fn margin(&self) -> f64 {
        let sum: f64 = self.items.iter().map(|item| f64::from(item.margin)).sum();
        sum / self.items.len().max(1) as f64
    }
}

/// What another metric than the judged one says of the same answers.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricScore {
    /// Its name in the task file.
    pub metric: String,
    /// Mean over the documents; higher is better.
    pub score: f64,
}

/// One document's result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ItemScore {
    /// The judged metric, in `[0, 1]`: 1 or 0 for a choice, the share of the reference found for a text.
    pub score: f64,
    /// Index of the chosen answer; `None` where there are no answers to choose from.
    pub chosen: Option<u32>,
    /// How surely the target was chosen: its log-likelihood minus the best other choice's, in nats (per character, byte …
    /// where the metric divides by that). 0 where the metric has nothing of the kind.
    pub margin: f32,
}

/// A value with its 95 % confidence interval; of a score, all in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Point estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}
