//! How long a search may go on, and the clock that counts it over several sessions.

use std::time::{Duration, Instant};

use crate::units::Seconds;

/// What ends a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// Wall-clock time for the whole run: baselines, search, final selection and files.
    WallClock(Duration),
    /// Number of candidates; baselines and finals are not counted.
    Trials(u64),
}

/// Time since the run began. What earlier sessions of the same run used counts; the pause between them does not.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    before: Seconds,
}

impl Clock {
    /// Starts counting from what earlier sessions have used.
    pub fn resume(before: Seconds) -> Self {
        Self { started: Instant::now(), before }
    }

    /// Seconds used so far.
    pub fn elapsed(&self) -> Seconds {
        Seconds(self.before.0 + self.started.elapsed().as_secs_f64())
    }
}

/// Decides, between candidates, whether one more fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    budget: Budget,
    /// Kept back for final selection, holdout and files.
    reserve: Seconds,
}

impl Deadline {
    pub fn new(budget: Budget, reserve: Seconds) -> Self {
        Self { budget, reserve }
    }

    /// Whether candidate number `index` (from 0) may start at `elapsed`, if it takes `expected`.
    pub fn allows(&self, index: u64, elapsed: Seconds, expected: Seconds) -> bool {
        match self.budget {
            Budget::Trials(trials) => index < trials,
            Budget::WallClock(time) => {
                elapsed.0 + expected.0 + self.reserve.0 <= time.as_secs_f64()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_starts_only_if_it_and_the_finals_fit() {
        let deadline = Deadline::new(Budget::WallClock(Duration::from_secs(60)), Seconds(10.0));
        assert!(deadline.allows(9, Seconds(45.0), Seconds(5.0)));
        assert!(!deadline.allows(0, Seconds(45.5), Seconds(5.0)));
    }

    #[test]
    fn trials_count_candidates_whatever_the_time() {
        let deadline = Deadline::new(Budget::Trials(3), Seconds(10.0));
        assert!(deadline.allows(2, Seconds(1e9), Seconds(1e9)));
        assert!(!deadline.allows(3, Seconds(0.0), Seconds(0.0)));
    }
}
