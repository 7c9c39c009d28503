//! What has been measured of a member so far.

use super::build::Built;
use super::clock::Lap;
use super::median::median_estimate;
use crate::evaluate::EvaluateError;
use crate::evaluate::fault::Fault;
use crate::outcome::Timing;
use crate::units::{Bytes, Seconds};

#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// It cannot be merged or cannot compute.
    pub infeasible: bool,
    load_seconds: f64,
    bytes: u64,
    /// Round by round: time divided by the base model's in the same turns; times of several merges add up.
    relative: Vec<f64>,
    laps: Vec<Lap>,
}

impl Tally {
    pub fn new(rounds: usize) -> Self {
        let (relative, laps) = (vec![0.0; rounds], vec![Lap::default(); rounds]);
        Tally { infeasible: false, load_seconds: 0.0, bytes: 0, relative, laps }
    }

    /// Of a fault that is the member's own.
    pub fn leave_out(&mut self, fault: Fault) -> Result<(), EvaluateError> {
        match fault {
            Fault::Candidate(_) => {
                self.infeasible = true;
                Ok(())
            }
            Fault::Machine(error) => Err(error),
        }
    }

    pub fn add_model(&mut self, model: &Built) {
        self.load_seconds += model.load_seconds;
        self.bytes += model.bytes.0;
    }

    pub fn add(&mut self, round: usize, lap: &Lap, base: &Lap) {
        if let (Some(relative), Some(own)) =
            (self.relative.get_mut(round), self.laps.get_mut(round))
        {
            *relative += lap.seconds / base.seconds;
            *own += *lap;
        }
    }

    /// `docs`: number of documents of a block.
    pub fn timing(&self, docs: usize) -> Option<Timing> {
        if self.infeasible {
            return None;
        }
        let of_rounds = |of: fn(&Lap, f64) -> f64| {
            let values: Vec<f64> = self.laps.iter().map(|lap| of(lap, docs as f64)).collect();
            median_estimate(&values)
        };
        let writes = self.laps.iter().all(|lap| lap.decoded > 0);
        let per_token = || of_rounds(|lap, _| lap.decode_seconds / lap.decoded as f64);
        Some(Timing {
            relative_time: median_estimate(&self.relative)?,
            seconds_per_item: of_rounds(|lap, docs| lap.seconds / docs)?,
            seconds_per_token: writes.then(per_token).flatten(),
            load_seconds: Seconds(self.load_seconds),
            resident_bytes: Bytes(self.bytes),
            rounds: self.laps.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two merges that take 1 and 2 of the base model's 4 seconds, for 10 documents and 20 tokens, in three rounds; the
    /// machine is twice as slow in the second.
    #[test]
    fn times_of_merges_add_up_by_hand() {
        let mut tally = Tally::new(3);
        for (round, slow) in [1.0, 2.0, 1.0].into_iter().enumerate() {
            let lap = |seconds: f64, decoded| Lap {
                seconds: slow * seconds,
                decode_seconds: slow * seconds / 2.0,
                decoded,
            };
            tally.add(round, &lap(1.0, 5), &lap(4.0, 0));
            tally.add(round, &lap(2.0, 15), &lap(4.0, 0));
        }
        let timing = tally.timing(10).unwrap();
        let ends = |it: crate::outcome::Estimate| (it.low, it.value, it.high);
        assert_eq!(ends(timing.relative_time), (0.75, 0.75, 0.75));
        assert_eq!(ends(timing.seconds_per_item), (0.3, 0.3, 0.6));
        assert_eq!(ends(timing.seconds_per_token.unwrap()), (0.075, 0.075, 0.15));
        assert_eq!(timing.rounds, 3);
        tally.infeasible = true;
        assert_eq!(tally.timing(10), None);
    }
}
