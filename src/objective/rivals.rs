//! Win rates against a table of rivals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AggregateError, ObjectiveKey};

/// Rival → task → score in `[0, 1]`, higher is better; a missing entry did not take part.
pub type RivalTable = BTreeMap<String, BTreeMap<String, f64>>;

/// A [`RivalTable`] by the order of a run's tasks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rivals {
    /// For each task, the scores of the rivals that took part, in the order of their names.
    scores: Vec<Vec<f64>>,
}

/// Scores this close are a tie: a printed table and a mean over documents differ in the last bits.
const TIE: f64 = 1e-12;

impl Rivals {
    pub(super) fn of_tasks(table: &RivalTable, tasks: &[&str]) -> Result<Rivals, AggregateError> {
        for name in table.values().flat_map(BTreeMap::keys) {
            super::aggregate::require_task(ObjectiveKey::Rivals, name, tasks)?;
        }
        let of_task = |task: &&str| {
            let scores: Vec<f64> =
                table.values().filter_map(|scores| scores.get(*task).copied()).collect();
            match scores.is_empty() {
                true => Err(AggregateError::NoRival { task: (*task).to_owned() }),
                false => Ok(scores),
            }
        };
        Ok(Rivals { scores: tasks.iter().map(of_task).collect::<Result<_, _>>()? })
    }

    /// One per task. Among `n` entrants, ours included, that is (rivals with a lower score, and `1/k` more for a tie of
    /// `k` entrants) over `n - 1`. The rule for ties is inferred from the published table of the 2023 challenge, where
    /// two tied entrants get 1/2 and four 1/4.
    pub(super) fn win_rates(&self, scores: &[f64]) -> Vec<f64> {
        scores.iter().zip(&self.scores).map(|(score, rivals)| win_rate(*score, rivals)).collect()
    }

    /// Rivals per task.
    pub(super) fn counts(&self) -> impl Iterator<Item = usize> {
        self.scores.iter().map(Vec::len)
    }
}

fn win_rate(score: f64, rivals: &[f64]) -> f64 {
    let tied = rivals.iter().filter(|rival| (score - **rival).abs() <= TIE).count();
    let beaten = rivals.iter().filter(|rival| score - **rival > TIE).count();
    let shared = if tied == 0 { 0.0 } else { 1.0 / (tied + 1) as f64 };
    (beaten as f64 + shared) / rivals.len() as f64
}
