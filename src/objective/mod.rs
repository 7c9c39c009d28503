//! From what was measured to what is optimised: the aggregate over tasks, its uncertainty, and the Pareto front of
//! accuracy against time.
//!
//! Knows [`crate::outcome`] and [`crate::units`] only. Accuracy is maximised everywhere; [`TieBreak::cost`] holds the one
//! sign flip, for optimizers that minimise.
mod against;
mod aggregate;
mod aggregate_error;
mod all_pairs;
mod bootstrap;
mod constraints;
mod disagreement;
mod dominance;
mod holm;
mod hypervolume;
mod interval;
mod mcnemar;
mod means;
mod measured_front;
mod paired;
mod pairs;
mod pareto;
mod pareto_archive;
mod rivals;
mod sign_flip;
mod tie_break;

pub use against::{Contest, SIGNIFICANCE, against_each};
pub use aggregate::{Aggregate, AggregateChoice, AggregateKind, HIDDEN_WEIGHT, TaskWeights};
pub use aggregate_error::{AggregateError, ObjectiveKey};
pub use all_pairs::{PairwiseTest, all_pairs, indistinguishable};
pub use constraints::Constraints;
pub use disagreement::{MetricComparison, compare_metrics};
pub use dominance::{crowding_distance, dominates, non_dominated_sort};
pub use holm::holm;
pub use hypervolume::{dominated_volume, hypervolume};
pub use interval::{estimate, geometric_mean, geometric_mean_of, interval, interval_of};
pub use mcnemar::{McNemar, mcnemar};
pub use measured_front::{Measured, knee, measured_front};
pub use paired::{PairedDifference, paired_difference};
pub use pairs::PairingError;
pub use pareto::{Point, pareto_front, pooled_times};
pub use pareto_archive::ParetoArchive;
pub use rivals::{RivalTable, Rivals};
pub use sign_flip::{Draws, Tail, sign_flip};
pub use tie_break::TieBreak;

pub use crate::outcome::Estimate;

/// Draws of the bootstrap and of the permutation test in what is shown to people: the p-value's standard error is at most
/// 0.011.
pub const RESAMPLES: usize = 2000;
