//! What was measured of one recipe on one split, or why it could not be.
//!
//! Comes up from [`crate::evaluate`] to [`crate::search`] and [`crate::record`]; knows neither tensors nor genes.

use serde::Serialize;

use crate::units::{Accuracy, Bytes, Seconds};

/// The result of one trial. A candidate that cannot be built or scored is data, not an error.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Every document of every task was scored.
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

/// Scores and costs of one merged model on one split.
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
    /// Time of a fixed block of documents divided by the base model's time for the same block, measured back to back
    /// on the same core (1 = as fast as the base model).
    pub relative_time: f64,
    /// Highest resident memory of the process so far.
    pub peak_bytes: Bytes,
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
    /// One entry per document, in the split's order.
    pub items: Vec<ItemScore>,
}

impl TaskScore {
    /// Share of right answers (lm-eval's `acc` or `acc_norm`, whichever the task names).
    pub fn accuracy(&self) -> Accuracy {
        let right = self.items.iter().filter(|item| item.correct).count();
        Accuracy(right as f64 / self.items.len() as f64)
    }
}

/// One document's result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ItemScore {
    /// Whether the chosen answer is the target.
    pub correct: bool,
    /// Index of the chosen answer.
    pub chosen: u32,
    /// Log-likelihood of the target minus the best other choice's, in nats.
    pub margin: f32,
}

/// A geometric mean of the tasks' accuracies with its 95 % confidence interval, all in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GeometricMean {
    /// Point estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}
