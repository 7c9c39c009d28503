//! DARE: drop and rescale (Yu et al. 2023, arXiv:2311.03099), before task arithmetic or TIES.

use crate::recipe::RescaleRule;

use super::MaskKey;
use super::task_arithmetic::{Mixing, delta, mix};
use super::ties::{disjoint_merge, l1};

/// L1 norms below this are not scaled to.
const ZERO_NORM: f64 = 1e-7;

/// What happens to one expert's task vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout<'a> {
    /// Probability that an element is kept.
    pub density: f64,
    /// How the kept elements are scaled up; `None` leaves them as they are.
    pub rescale: Option<RescaleRule>,
    /// Decides which elements are kept.
    pub mask: MaskKey<'a>,
}

/// Random drop, rescale, then task arithmetic. Row-major slices of equal length; one weight and dropout per expert.
pub fn dare_linear(
    base: &[f32],
    experts: &[&[f32]],
    weights: &[f32],
    dropouts: &[Dropout],
    mixing: Mixing,
) -> Vec<f32> {
    mix(base, &dropped(base, experts, dropouts), weights, mixing)
}

/// Random drop, rescale, then the sign election and disjoint merge of TIES.
pub fn dare_ties(
    base: &[f32],
    experts: &[&[f32]],
    weights: &[f32],
    dropouts: &[Dropout],
    mixing: Mixing,
) -> Vec<f32> {
    disjoint_merge(base, &dropped(base, experts, dropouts), weights, mixing)
}

fn dropped(base: &[f32], experts: &[&[f32]], dropouts: &[Dropout]) -> Vec<Vec<f32>> {
    let dropped = |(expert, dropout): (&&[f32], &Dropout)| {
        let mut delta = delta(base, expert);
        drop_and_rescale(&mut delta, dropout);
        delta
    };
    experts.iter().zip(dropouts).map(dropped).collect()
}

/// Sets elements to 0 at random and scales the rest up. A density of 1 or more leaves the task vector as it is.
pub fn drop_and_rescale(delta: &mut [f32], dropout: &Dropout) {
    if dropout.density >= 1.0 {
        return;
    }
    let before = l1(delta);
    for (d, kept) in delta.iter_mut().zip(dropout.mask.kept(dropout.density)) {
        if !kept {
            *d = 0.0;
        }
    }
    match dropout.rescale {
        Some(RescaleRule::L1) => rescale_l1(delta, before),
        Some(RescaleRule::Density) if dropout.density > 0.0 => {
            scale(delta, 1.0 / dropout.density);
        }
        Some(RescaleRule::Density) | None => {}
    }
}

/// Gives a task vector the L1 norm `before`, unless one of the two norms is next to nothing.
pub(super) fn rescale_l1(delta: &mut [f32], before: f64) {
    let after = l1(delta);
    if before >= ZERO_NORM && after >= ZERO_NORM {
        scale(delta, before / after);
    }
}

fn scale(delta: &mut [f32], factor: f64) {
    let factor = factor as f32;
    delta.iter_mut().for_each(|d| *d *= factor);
}
