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
    /// Counts from `started`, on top of what earlier sessions have used.
    pub fn resume(started: Instant, before: Seconds) -> Self {
        Self { started, before }
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
    reserve: Reserve,
}

/// What is kept back of a wall-clock budget for everything after the last candidate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reserve {
    /// For scoring finalists and winner.
    pub scoring: Seconds,
    /// Merges among the finals that do not run side by side.
    pub merges: f64,
}

impl Reserve {
    /// With merges that take `merge` each. The factor covers a machine that gets busier, the constant the files.
    pub fn total(&self, merge: Seconds) -> Seconds {
        Seconds(1.1 * (self.scoring.0 + self.merges * merge.0) + 0.5)
    }
}

impl Deadline {
    pub fn new(budget: Budget, reserve: Reserve) -> Self {
        Self { budget, reserve }
    }

    /// Whether candidate number `index` (from 0) may start at `elapsed`, if it takes `expected` and a merge `merge`.
    pub fn allows(&self, index: u64, elapsed: Seconds, expected: Seconds, merge: Seconds) -> bool {
        match self.budget {
            Budget::Trials(trials) => index < trials,
            Budget::WallClock(time) => {
                let needed = expected.0 + self.reserve.total(merge).0;
                elapsed.0 + needed <= time.as_secs_f64()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_starts_only_if_it_and_the_finals_fit() {
        // 1.1 · (5 + 2 · 2) + 0.5 = 10.4 s for the finals.
        let reserve = Reserve { scoring: Seconds(5.0), merges: 2.0 };
        let deadline = Deadline::new(Budget::WallClock(Duration::from_secs(60)), reserve);
        let merge = Seconds(2.0);
        assert!(deadline.allows(9, Seconds(44.5), Seconds(5.0), merge));
        assert!(!deadline.allows(0, Seconds(44.7), Seconds(5.0), merge));
    }

    #[test]
    fn trials_count_candidates_whatever_the_time() {
        let reserve = Reserve { scoring: Seconds(5.0), merges: 2.0 };
        let deadline = Deadline::new(Budget::Trials(3), reserve);
        assert!(deadline.allows(2, Seconds(1e9), Seconds(1e9), Seconds(1.0)));
        assert!(!deadline.allows(3, Seconds(0.0), Seconds(0.0), Seconds(1.0)));
    }
}
