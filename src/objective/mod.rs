//! From what was measured to what is optimised: the geometric mean over tasks, its uncertainty, and the Pareto front of
//! accuracy against time.
//!
//! Knows [`crate::outcome`] and [`crate::units`] only. Accuracy is maximised everywhere; [`cost`] holds the one sign
//! flip, for optimizers that minimise.
mod geometric_mean;
mod hypervolume;
mod paired;
mod pareto;

pub use geometric_mean::{geometric_mean, geometric_mean_of, interval, interval_of};
pub use hypervolume::hypervolume;
pub use paired::{PairedDifference, PairingError, paired_difference};
pub use pareto::{Point, pareto_front, pooled_times};

pub use crate::outcome::GeometricMean;

/// Draws of the bootstrap and of the permutation test in what is shown to people: the p-value's standard error is at most
/// 0.011.
pub const RESAMPLES: usize = 2000;

/// What an optimizer minimises: minus the geometric mean, in `[-1, 0]`, or plus infinity for an infeasible candidate,
/// which has none.
pub fn cost(mean: Option<GeometricMean>) -> f64 {
    mean.map_or(f64::INFINITY, |mean| -mean.value)
}
