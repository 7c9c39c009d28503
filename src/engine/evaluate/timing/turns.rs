//! Several models' work in turns, so that a machine that gets busier slows all of them.

use super::clock::Lap;
use super::work::Timed;
use crate::model::Scratch;

/// A model that could not compute.
#[derive(Debug)]
pub(super) struct Failed {
    pub side: usize,
    pub error: candle_core::Error,
}

/// Does all work of all `sides` once per round, on the calling thread, and gives what it took: round by round, side by side.
/// Calls no rayon, so that nothing else gets in between.
pub(super) fn in_turns(
    sides: &mut [Timed],
    rounds: usize,
    scratch: &mut Scratch,
) -> Result<Vec<Vec<Lap>>, Failed> {
    // Untimed: the first pass of all grows the buffers.
    for (side, timed) in sides.iter_mut().enumerate() {
        timed.lap(0, scratch).map_err(|error| Failed { side, error })?;
    }
    let pieces: Vec<usize> = sides.iter().map(Timed::pieces).collect();
    let round = |round: usize| {
        let mut laps = vec![Lap::default(); sides.len()];
        for (side, piece) in order(&pieces, round) {
            let lap = sides[side].lap(piece, scratch);
            laps[side] += lap.map_err(|error| Failed { side, error })?;
        }
        Ok(laps)
    };
    (0..rounds).map(round).collect()
}

/// Side and piece of each turn: every side's pieces in their order, spread evenly over the round. Where several are due at
/// once they take turns in going first: whoever comes later may find the documents in the cache.
fn order(pieces: &[usize], round: usize) -> Vec<(usize, usize)> {
    let sides = pieces.len().max(1);
    let of_side = |(side, &count): (usize, &usize)| {
        let place = move |piece: usize| (2 * piece + 1) as f64 / count as f64;
        (0..count).map(move |piece| (place(piece), (side + piece + round) % sides, side, piece))
    };
    let mut turns: Vec<_> = pieces.iter().enumerate().flat_map(of_side).collect();
    turns.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    turns.into_iter().map(|(_, _, side, piece)| (side, piece)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(pieces: &[usize], round: usize) -> Vec<usize> {
        order(pieces, round).into_iter().map(|(side, _)| side).collect()
    }

    #[test]
    fn each_goes_first_every_other_time() {
        assert_eq!(sides(&[4, 4], 0), [0, 1, 1, 0, 0, 1, 1, 0]);
        assert_eq!(sides(&[4, 4], 1), [1, 0, 0, 1, 1, 0, 0, 1]);
        assert_eq!(sides(&[3, 3, 3], 0), [0, 1, 2, 2, 0, 1, 1, 2, 0]);
    }

    #[test]
    fn unequal_shares_are_spread_over_the_round() {
        assert_eq!(sides(&[2, 4], 0), [1, 0, 1, 1, 0, 1]);
        assert_eq!(sides(&[1, 4], 0), [1, 1, 0, 1, 1]);
        assert_eq!(sides(&[0, 2], 0), [1, 1]);
        assert_eq!(order(&[3], 5), [(0, 0), (0, 1), (0, 2)]);
        assert_eq!(order(&[], 0), []);
    }
}
