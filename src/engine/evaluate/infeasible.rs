//! Metrics that a model or its tokenizer cannot be scored by.

use crate::model::spec::Reading;
use crate::task::{Metric, MetricKind, Place};

/// A metric of a task that is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct InfeasibleMetric {
    /// Name of the task.
    pub task: String,
    /// Name of the metric.
    pub metric: &'static str,
    /// Why.
    pub reason: Infeasible,
}

/// Why a metric cannot be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Infeasible {
    /// The starter kit would stop with an error here: the tokenizer adds neither BOS nor EOS, so that no token of these
    /// choices is left after the first, which the kit never scores.
    #[error(
        "the starter kit crashes with this tokenizer: it adds no BOS or EOS, and every choice at {place} is a single token, which the kit does not score"
    )]
    KitCrash {
        /// The first such document.
        place: Place,
    },
    /// Not a decoder and not an encoder-decoder.
    #[error("the starter kit has no such models")]
    NotForKit,
    /// A label is no text.
    #[error("it divides by an answer's length, which a classifier's labels do not have")]
    LabelLength,
    /// Labels have one probability only, and classifiers and masked models write no texts.
    #[error("models of this kind give no such numbers")]
    Reading,
}

/// Whether networks that read so can be scored by `metric` at all.
pub(super) fn by_reading(reading: Reading, metric: &Metric) -> Option<Infeasible> {
    let decodes = matches!(reading, Reading::Causal | Reading::Seq2Seq);
    match (metric, metric.kind()) {
        (Metric::Acc, _) => None,
        (Metric::Kit | Metric::KitFixed, _) => (!decodes).then_some(Infeasible::NotForKit),
        (Metric::AccNorm | Metric::AccBytes, _) => {
            (reading == Reading::Classify).then_some(Infeasible::LabelLength)
        }
        (_, MetricKind::Text) => (!decodes).then_some(Infeasible::Reading),
        (_, MetricKind::Choice | MetricKind::Reference) => {
            (reading == Reading::Classify).then_some(Infeasible::Reading)
        }
    }
}
