//! Which log-likelihoods a task's metrics are made of.

use crate::task::{Metric, MetricKind};

/// Log-likelihoods of one kind, one per choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Of the choice after the prompt, as lm-eval has it.
    Conditional,
    /// Of the choice after nothing.
    Unconditional,
    /// As the competition's starter kit has it: choice and prompt are encoded apart, and a decoder's first token is not
    /// scored.
    Kit,
    /// The same with every token scored.
    KitFixed,
}

impl Column {
    /// What `metric` is made of; nothing for metrics of texts.
    pub fn of(metric: &Metric) -> &'static [Column] {
        match metric {
            Metric::Acc | Metric::AccNorm | Metric::AccBytes => &[Column::Conditional],
            Metric::AccMutualInfo => &[Column::Conditional, Column::Unconditional],
            Metric::Kit => &[Column::Kit],
            Metric::KitFixed => &[Column::KitFixed],
            _ => &[],
        }
    }

    /// What all of `metrics` are made of, each once.
    pub fn of_all<'a>(metrics: impl IntoIterator<Item = &'a Metric>) -> Vec<Column> {
        let mut columns: Vec<Column> = metrics.into_iter().flat_map(Column::of).copied().collect();
        columns.sort();
        columns.dedup();
        columns
    }
}

/// Whether a metric needs a text of the model's own.
pub(super) fn needs_text(metric: &Metric) -> bool {
    metric.kind() == MetricKind::Text
}
