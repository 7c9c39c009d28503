//! What an optimizer minimises: minus the judged score, and between equal scores minus the smooth companion.

use super::{Aggregate, AggregateKind};
use crate::outcome::TaskScore;

/// Least difference of judged scores at which their rounding (below `4e-15`: a few operations on numbers below 1) can
/// neither hide it nor make it up.
const LEAST_GAP: f64 = 1e-14;
/// More would only make costs harder to read.
const LARGEST_SCALE: f64 = 1e-6;

/// Orders equal judged scores by the companion, and never different ones.
///
/// `cost = -(score + scale · c/(1 + |c|))`, the companion `c` (see [`Aggregate::companion`]) squashed into `(-1, 1)`. Of
/// documents that are right or wrong there are finitely many scores, and the least gap between two of them has a lower
/// bound that follows from the numbers of documents: `1/lcm(n_t)` where each score is a fraction over `n_t`, divided by
/// the sum of the weights for an arithmetic mean; `1/(T Π n_t)` for a geometric mean of `T` tasks, whose `T`-th power is
/// a fraction over `Π n_t` and whose `T`-th root has a slope of at least `1/T`. The scale is a quarter of that bound, so
/// that both companions together move two costs by at most half the gap. For five tasks of 100 documents the bound is
/// `2e-11`.
///
/// Where there is no such bound, or it is lost in rounding (below `1e-14`), ties stay ties: tasks with scores between
/// 0 and 1, weights that are not whole multiples of the least, a zero floor, hidden tasks, very many documents (whose
/// scores are seldom equal).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TieBreak {
    scale: f64,
}

impl TieBreak {
    /// Ties stay ties.
    pub const NONE: TieBreak = TieBreak { scale: 0.0 };

    /// For models scored on the documents of `scores`, whichever of them it was that scored these.
    pub fn new(aggregate: &Aggregate, scores: &[TaskScore]) -> TieBreak {
        let chosen = |task: &TaskScore| task.items.iter().all(|item| item.chosen.is_some());
        let docs: Vec<u64> = scores.iter().map(|task| task.items.len() as u64).collect();
        match least_gap(aggregate, &docs) {
            Some(gap) if gap >= LEAST_GAP && scores.iter().all(chosen) => {
                TieBreak { scale: (gap / 4.0).min(LARGEST_SCALE) }
            }
            _ => TieBreak::NONE,
        }
    }

    /// Whether it does anything.
    pub fn is_active(self) -> bool {
        self.scale > 0.0
    }

    /// What an optimizer minimises, from the judged score and its companion; plus infinity for an infeasible candidate,
    /// which has neither. The one sign flip.
    pub fn cost(self, score: Option<f64>, companion: Option<f64>) -> f64 {
        let squashed = companion.map_or(0.0, squash);
        score.map_or(f64::INFINITY, |score| -(score + self.scale * squashed))
    }
}

fn squash(companion: f64) -> f64 {
    if companion.is_nan() {
        0.0
    } else if companion.is_infinite() {
        companion.signum()
    } else {
        companion / (1.0 + companion.abs())
    }
}

/// Lower bound of the difference of two different values of the aggregate, of tasks with so many documents, each right
/// or wrong. `None`: there is none that is worth having.
fn least_gap(aggregate: &Aggregate, docs: &[u64]) -> Option<f64> {
    if aggregate.has_hidden() || aggregate.zero_floor > 0.0 {
        return None;
    }
    let steps = match aggregate.kind {
        AggregateKind::MeanWinRate => {
            aggregate.rivals.counts().map(win_rate_steps).collect::<Option<Vec<u64>>>()?
        }
        _ => docs.to_vec(),
    };
    let counted: Vec<(u32, u64)> =
        whole(&aggregate.weights)?.into_iter().zip(steps).filter(|(w, _)| *w > 0).collect();
    let weights: f64 = counted.iter().map(|(weight, _)| f64::from(*weight)).sum();
    let common = || counted.iter().try_fold(1, |common, (_, steps)| lcm(common, *steps));
    Some(match aggregate.kind {
        AggregateKind::GeometricMean | AggregateKind::MeanWinRate => {
            let power = |(weight, steps): &(u32, u64)| (*steps as f64).powi(*weight as i32);
            1.0 / (weights * counted.iter().map(power).product::<f64>())
        }
        AggregateKind::ArithmeticMean => 1.0 / (weights * common()? as f64),
        AggregateKind::WorstTask => 1.0 / common()? as f64,
    })
}

/// Win rates against so many rivals are fractions over this: wins and a share `1/k` of a tie, over the rivals.
fn win_rate_steps(rivals: usize) -> Option<u64> {
    let entrants = rivals as u64 + 1;
    (2..=entrants).try_fold(1, lcm)?.checked_mul(rivals as u64)
}

/// The weights as multiples of the least positive one, if they are.
fn whole(weights: &[f64]) -> Option<Vec<u32>> {
    let least = weights.iter().copied().filter(|w| *w > 0.0).fold(f64::INFINITY, f64::min);
    let multiple = |weight: &f64| {
        let ratio = weight / least;
        let near = (ratio - ratio.round()).abs() < 1e-12 && ratio < 1000.0;
        near.then_some(ratio.round() as u32)
    };
    weights.iter().map(multiple).collect()
}

fn lcm(a: u64, b: u64) -> Option<u64> {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    a.checked_div(x)?.checked_mul(b)
}
