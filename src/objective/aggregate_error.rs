use std::fmt;

/// A key of a space file that says how tasks are aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectiveKey {
    /// `tasks.weights`
    Weights,
    /// `objective.hidden`
    Hidden,
    /// `objective.rivals`
    Rivals,
}

impl fmt::Display for ObjectiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weights => "tasks.weights",
            Self::Hidden => "objective.hidden",
            Self::Rivals => "objective.rivals",
        })
    }
}

/// Why an aggregate does not fit the tasks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// A name that no task has.
    #[error("key `{key}` names the task `{name}`; the tasks are {}", tasks.join(", "))]
    UnknownTask {
        /// Where it stands.
        key: ObjectiveKey,
        /// The name.
        name: String,
        /// The tasks there are.
        tasks: Vec<String>,
    },
    /// Nothing to average.
    #[error(
        "keys `tasks.weights` and `objective.hidden` leave no {group}task with a weight above 0"
    )]
    NoWeight {
        /// `open `, `hidden `, or nothing.
        group: &'static str,
    },
    /// Nobody to win against.
    #[error("key `objective.rivals`: no rival has a score for the task `{task}`")]
    NoRival {
        /// The task.
        task: String,
    },
}
