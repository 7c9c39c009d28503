//! How the scores of several tasks become the one number that is searched for.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::means::{arithmetic, geometric, least};
use super::rivals::{RivalTable, Rivals};
use super::{AggregateError, ObjectiveKey};

/// What is done with the tasks' scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AggregateKind {
    /// Their weighted geometric mean.
    GeometricMean,
    /// Their weighted arithmetic mean.
    ArithmeticMean,
    /// The least of them.
    WorstTask,
    /// The weighted geometric mean of the tasks' win rates against a table of rivals: the score of the NeurIPS 2023 LLM
    /// efficiency challenge.
    MeanWinRate,
}

impl AggregateKind {
    /// All of them.
    pub const ALL: [AggregateKind; 4] =
        [Self::GeometricMean, Self::ArithmeticMean, Self::WorstTask, Self::MeanWinRate];

    /// The word in a space file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GeometricMean => "geometric_mean",
            Self::ArithmeticMean => "arithmetic_mean",
            Self::WorstTask => "worst_task",
            Self::MeanWinRate => "mean_win_rate",
        }
    }

    /// Whether zeros can have a floor.
    pub fn has_zero_floor(self) -> bool {
        matches!(self, Self::GeometricMean | Self::MeanWinRate)
    }
}

/// Weights of tasks: finite, at least 0, relative to their sum.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskWeights {
    /// Task → weight; a task that is not listed has weight 1.
    ByName(BTreeMap<String, f64>),
    /// One per task.
    InOrder(Vec<f64>),
}

impl TaskWeights {
    fn of(&self, index: usize, task: &str) -> f64 {
        let known = match self {
            TaskWeights::ByName(weights) => weights.get(task),
            TaskWeights::InOrder(weights) => weights.get(index),
        };
        known.copied().unwrap_or(1.0)
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let named = match self {
            TaskWeights::ByName(weights) => Some(weights.keys()),
            TaskWeights::InOrder(_) => None,
        };
        named.into_iter().flatten()
    }
}

/// An aggregate as a file says it, before its tasks are known.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateChoice {
    /// What is done.
    pub kind: AggregateKind,
    /// How much each task counts.
    pub weights: TaskWeights,
    /// Scores below count as this much (kinds that have [`AggregateKind::has_zero_floor`]).
    pub zero_floor: f64,
    /// Whom the mean win rate is against; empty for other kinds.
    pub rivals: RivalTable,
    /// Tasks of the hidden group; the others form the open one.
    pub hidden: Vec<String>,
    /// Share of the hidden group's aggregate in the whole, in `(0, 1)`.
    pub hidden_weight: f64,
}

/// Two thirds, as in the 2023 challenge.
pub const HIDDEN_WEIGHT: f64 = 2.0 / 3.0;

impl Default for AggregateChoice {
    fn default() -> Self {
        AggregateChoice {
            kind: AggregateKind::GeometricMean,
            weights: TaskWeights::ByName(BTreeMap::new()),
            zero_floor: 0.0,
            rivals: RivalTable::default(),
            hidden: Vec::new(),
            hidden_weight: HIDDEN_WEIGHT,
        }
    }
}

/// An [`AggregateChoice`] for a list of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    pub(super) kind: AggregateKind,
    /// One per task, relative to the sum over its group; all 1 where all are equal.
    pub(super) weights: Vec<f64>,
    pub(super) zero_floor: f64,
    /// One per task.
    hidden: Vec<bool>,
    /// 0 where no task is hidden.
    hidden_weight: f64,
    pub(super) rivals: Rivals,
}

impl Aggregate {
    /// The plain geometric mean.
    pub fn geometric_mean(tasks: usize) -> Aggregate {
        Aggregate {
            kind: AggregateKind::GeometricMean,
            weights: vec![1.0; tasks],
            zero_floor: 0.0,
            hidden: vec![false; tasks],
            hidden_weight: 0.0,
            rivals: Rivals::default(),
        }
    }

    /// For tasks of these names, in this order.
    ///
    /// # Errors
    /// A name that is no task's, a group of tasks without any weight, a task without rivals.
    pub fn new(choice: &AggregateChoice, tasks: &[&str]) -> Result<Aggregate, AggregateError> {
        let named = choice.weights.names().map(|name| (ObjectiveKey::Weights, name));
        let hidden = choice.hidden.iter().map(|name| (ObjectiveKey::Hidden, name));
        for (key, name) in named.chain(hidden) {
            require_task(key, name, tasks)?;
        }
        let weight = |(index, task): (usize, &&str)| choice.weights.of(index, task);
        let mut weights: Vec<f64> = tasks.iter().enumerate().map(weight).collect();
        if weights.windows(2).all(|pair| pair[0] == pair[1]) && weights.iter().any(|w| *w > 0.0) {
            weights.fill(1.0);
        }
        let aggregate = Aggregate {
            kind: choice.kind,
            weights,
            zero_floor: choice.zero_floor,
            hidden: tasks.iter().map(|task| choice.hidden.iter().any(|h| h == task)).collect(),
            hidden_weight: if choice.hidden.is_empty() { 0.0 } else { choice.hidden_weight },
            rivals: match choice.kind {
                AggregateKind::MeanWinRate => Rivals::of_tasks(&choice.rivals, tasks)?,
                _ => Rivals::default(),
            },
        };
        aggregate.require_weight()?;
        Ok(aggregate)
    }

    fn require_weight(&self) -> Result<(), AggregateError> {
        for (hidden, _) in self.groups() {
            if !self.in_group(hidden, &self.weights).any(|(weight, _)| weight > 0.0) {
                let group = match (self.has_hidden(), hidden) {
                    (false, _) => "",
                    (true, false) => "open ",
                    (true, true) => "hidden ",
                };
                return Err(AggregateError::NoWeight { group });
            }
        }
        Ok(())
    }

    /// Of the tasks' scores (judged metric, in `[0, 1]`), one per task: a number in `[0, 1]`.
    pub fn value(&self, scores: &[f64]) -> f64 {
        let merits = self.merits(scores);
        self.groups().map(|(hidden, share)| share * self.of_group(hidden, &merits)).sum()
    }

    fn of_group(&self, hidden: bool, merits: &[f64]) -> f64 {
        let weighted = self.in_group(hidden, merits);
        match self.kind {
            AggregateKind::GeometricMean | AggregateKind::MeanWinRate => {
                geometric(weighted, self.zero_floor)
            }
            AggregateKind::ArithmeticMean => arithmetic(weighted),
            AggregateKind::WorstTask => least(weighted),
        }
    }

    /// What is averaged: the scores, or the win rates that they give.
    fn merits(&self, scores: &[f64]) -> Vec<f64> {
        match self.kind {
            AggregateKind::MeanWinRate => self.rivals.win_rates(scores),
            _ => scores.to_vec(),
        }
    }

    /// Whether a group is the hidden one, and its share in the whole.
    pub(super) fn groups(&self) -> impl Iterator<Item = (bool, f64)> + use<> {
        let shares = [(false, 1.0 - self.hidden_weight), (true, self.hidden_weight)];
        shares.into_iter().filter(|(_, share)| *share > 0.0)
    }

    /// Weight and value of a group's tasks.
    pub(super) fn in_group<T: Copy>(
        &self,
        hidden: bool,
        values: &[T],
    ) -> impl Iterator<Item = (f64, T)> {
        let tasks = self.weights.iter().zip(&self.hidden).zip(values);
        tasks
            .filter(move |((_, is_hidden), _)| **is_hidden == hidden)
            .map(|((weight, _), value)| (*weight, *value))
    }

    pub(super) fn has_hidden(&self) -> bool {
        self.hidden_weight > 0.0
    }

    /// Weighted mean over the tasks of the mean margin of the right choice, in nats: how near a model is to answers that
    /// it does not give yet. `margins` is one number per task.
    pub fn companion(&self, margins: &[f64]) -> f64 {
        arithmetic(self.weights.iter().copied().zip(margins.iter().copied()))
    }

    /// What is done.
    pub fn kind(&self) -> AggregateKind {
        self.kind
    }
}

pub(super) fn require_task(
    key: ObjectiveKey,
    name: &str,
    tasks: &[&str],
) -> Result<(), AggregateError> {
    if tasks.contains(&name) {
        return Ok(());
    }
    let tasks = tasks.iter().map(|task| (*task).to_owned()).collect();
    Err(AggregateError::UnknownTask { key, name: name.to_owned(), tasks })
}

/// As a heading has it: `weighted arithmetic mean`.
impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.weights.windows(2).any(|pair| pair[0] != pair[1]) {
            f.write_str("weighted ")?;
        }
        f.write_str(match self.kind {
            AggregateKind::GeometricMean => "geometric mean",
            AggregateKind::ArithmeticMean => "arithmetic mean",
            AggregateKind::WorstTask => "worst task",
            AggregateKind::MeanWinRate => "mean win rate",
        })?;
        if self.has_hidden() {
            write!(f, " ({:.1} % hidden tasks)", 100.0 * self.hidden_weight)?;
        }
        Ok(())
    }
}
