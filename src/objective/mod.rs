//! From what was measured to what is optimised: the aggregate over tasks, its uncertainty, and the Pareto front of
//! accuracy against time.
//!
//! Knows [`crate::outcome`] and [`crate::units`] only. Accuracy is maximised everywhere; [`TieBreak::cost`] holds the one
//! sign flip, for optimizers that minimise.
mod aggregate;
mod aggregate_error;
mod disagreement;
mod dominance;
mod hypervolume;
mod interval;
mod means;
mod paired;
mod pareto;
mod pareto_archive;
mod rivals;
mod tie_break;

pub use aggregate::{Aggregate, AggregateChoice, AggregateKind, HIDDEN_WEIGHT, TaskWeights};
pub use aggregate_error::{AggregateError, ObjectiveKey};
pub use disagreement::{MetricComparison, compare_metrics};
pub use dominance::{crowding_distance, dominates, non_dominated_sort};
pub use hypervolume::{dominated_volume, hypervolume};
pub use interval::{estimate, geometric_mean, geometric_mean_of, interval, interval_of};
pub use paired::{PairedDifference, PairingError, paired_difference};
pub use pareto::{Point, pareto_front, pooled_times};
pub use pareto_archive::ParetoArchive;
pub use rivals::{RivalTable, Rivals};
pub use tie_break::TieBreak;

pub use crate::outcome::Estimate;

/// Draws of the bootstrap and of the permutation test in what is shown to people: the p-value's standard error is at most
/// 0.011.
pub const RESAMPLES: usize = 2000;
