//! What a search tells whoever watches it. The library prints nothing; the command line draws these.

use crate::objective::{Aggregate, MetricComparison};
use crate::outcome::Estimate;
use crate::record::Trial;
use crate::units::{Seconds, Split};

/// Something happened.
#[derive(Debug)]
pub enum SearchEvent<'a> {
    /// So many baseline trials come first.
    Baselines { trials: usize },
    /// The optimizer starts; `reserve` is kept back for the finals.
    Searching { genes: usize, population: usize, reserve: Seconds },
    /// A trial was scored or found in the record.
    Trial { trial: &'a Trial, replayed: bool, progress: Progress },
    /// So many finalists are scored on the selection split.
    Selecting { finalists: usize },
    /// The winner is scored on the holdout split.
    HoldingOut,
    /// Something the user should know.
    Warning(String),
}

/// Where the search stands.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Candidates scored on the search split so far.
    pub candidates: u64,
    /// Best objective on the search split among candidates and baselines.
    pub best: Option<Estimate>,
    /// Size of the Pareto front.
    pub front: usize,
    /// Mean time of one candidate on one worker.
    pub seconds_per_trial: Option<Seconds>,
    /// Time used by the run.
    pub elapsed: Seconds,
}

/// The last line of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// What everything is ranked by.
    pub aggregate: Aggregate,
    /// Base, experts and uniform average, in row order.
    pub baselines: Vec<Standing>,
    /// What is shipped.
    pub winner: Standing,
    /// The winner is one of the baselines: the search found nothing better on the selection split.
    pub nothing_better: bool,
    /// Candidates that were scored, and how many of them were infeasible.
    pub candidates: u64,
    /// Of them.
    pub infeasible: u64,
    /// Winner against the best single parent on holdout, same documents.
    pub against_best_parent: Option<Comparison>,
    /// Winner against the uniform average on holdout, same documents.
    pub against_uniform: Option<Comparison>,
    /// The winner by other metrics than the judged ones on holdout: against the best single parent, the uniform average
    /// and the base model.
    pub other_metrics: Vec<OtherMetrics>,
    /// Time used by the run.
    pub elapsed: Seconds,
}

/// The winner (first) and a baseline (second) by every metric that is not judged.
#[derive(Debug, Clone)]
pub struct OtherMetrics {
    /// Row name of the baseline.
    pub against: String,
    /// Task by task, and then over all tasks.
    pub metrics: Vec<MetricComparison>,
}

/// One recipe's objective on each split.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Trial number.
    pub trial: u64,
    /// Row name.
    pub name: String,
    /// As YAML.
    pub recipe: String,
    /// On search, selection and holdout; `None` where infeasible or not scored.
    pub objectives: [Option<Estimate>; 3],
}

impl Standing {
    /// Its objective on `split`.
    pub fn on(&self, split: Split) -> Option<Estimate> {
        self.objectives[split as usize]
    }

    /// Search score minus holdout score: how much the search flattered itself.
    pub fn gap(&self) -> Option<f64> {
        Some(self.on(Split::Search)?.value - self.on(Split::Holdout)?.value)
    }
}

/// A paired difference of two objectives with its 95 % interval.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Row name of the other.
    pub against: String,
    /// Winner minus the other.
    pub difference: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}
