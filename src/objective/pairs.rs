//! Two models on the same documents.

use crate::outcome::TaskScore;

/// Why two models cannot be compared document by document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// Not the same tasks, or not in the same order.
    #[error("cannot pair tasks [{}] with [{}]", first.join(", "), second.join(", "))]
    Tasks {
        /// Of the first model.
        first: Vec<String>,
        /// Of the second model.
        second: Vec<String>,
    },
    /// A different number of documents of one task.
    #[error("cannot pair {first} with {second} documents of task {task}")]
    Documents {
        /// The task that differs.
        task: String,
        /// Documents of the first model.
        first: usize,
        /// Documents of the second model.
        second: usize,
    },
    /// An interval needs at least one resample.
    #[error("cannot estimate from 0 resamples")]
    NoResamples,
}

/// Scores of both models, document by document, one list per task.
pub(super) type Pairs = Vec<Vec<(f64, f64)>>;

/// The documents of `a` beside those of `b`.
pub(super) fn pair(a: &[TaskScore], b: &[TaskScore]) -> Result<Pairs, PairingError> {
    let names = |tasks: &[TaskScore]| tasks.iter().map(|task| task.task.clone()).collect();
    let (first, second): (Vec<String>, Vec<String>) = (names(a), names(b));
    if first != second {
        return Err(PairingError::Tasks { first, second });
    }
    a.iter().zip(b).map(pair_task).collect()
}

fn pair_task((a, b): (&TaskScore, &TaskScore)) -> Result<Vec<(f64, f64)>, PairingError> {
    if a.items.len() != b.items.len() {
        return Err(PairingError::Documents {
            task: a.task.clone(),
            first: a.items.len(),
            second: b.items.len(),
        });
    }
    let answers = a.items.iter().zip(&b.items);
    Ok(answers.map(|(a, b)| (a.score, b.score)).collect())
}
