//! What a search tells whoever watches it. The library prints nothing; the command line draws these.

use super::finals::Origin;
use crate::objective::{Aggregate, McNemar, MetricComparison};
use crate::outcome::Estimate;
use crate::record::{FrontRow, Trial};
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
    /// So many models are timed in turns with the base model, for the front.
    Measuring { models: usize },
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
    /// How the winner was chosen.
    pub finals: Finals,
    /// What a search without selection and holdout would have claimed; `None` without a feasible candidate.
    pub best_observed: Option<BestObserved>,
    /// Candidates that were scored, and how many of them were infeasible.
    pub candidates: u64,
    /// Of them.
    pub infeasible: u64,
    /// Winner against the best single parent (on selection) on holdout, same documents; `None` against itself.
    pub against_best_parent: Option<Comparison>,
    /// Winner against the base model, likewise.
    pub against_base: Option<Comparison>,
    /// Winner against the uniform average, likewise.
    pub against_uniform: Option<Comparison>,
    /// With how many baselines the winner was compared on holdout.
    pub comparisons: usize,
    /// The winner by other metrics than the judged ones on holdout: against the best single parent, the uniform average
    /// and the base model.
    pub other_metrics: Vec<OtherMetrics>,
    /// Front and baselines, by ascending time.
    pub front: Vec<FrontRow>,
    /// Candidates that were scored and pass a limit on time or memory.
    pub beyond_limits: u64,
    /// Time used by the run.
    pub elapsed: Seconds,
}

impl Report {
    /// The front by ascending time, then the baselines that are not on it; nothing where times were not measured.
    pub fn measured_front(&self) -> impl Iterator<Item = &FrontRow> {
        let measured = || self.front.iter().filter(|row| row.timing.is_some());
        let is_baseline = |row: &&FrontRow| self.baselines.iter().any(|b| b.trial == row.trial);
        let members = measured().filter(|row| row.member);
        members.chain(measured().filter(|row| !row.member).filter(is_baseline))
    }

    /// Against the best parent, the base model and the uniform average, each baseline once.
    pub fn shown_comparisons(&self) -> Vec<&Comparison> {
        let asked = [&self.against_best_parent, &self.against_base, &self.against_uniform];
        let mut shown: Vec<&Comparison> = Vec::new();
        for comparison in asked.into_iter().flatten() {
            if shown.iter().all(|known| known.against != comparison.against) {
                shown.push(comparison);
            }
        }
        shown
    }
}

/// How the winner was chosen on the selection split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finals {
    /// What kind of finalist won.
    pub winner_from: Origin,
    /// How many there were, baselines not counted.
    pub finalists: usize,
    /// How many of them the optimizer recommended.
    pub recommended: usize,
    /// How many of them dropped out before all documents were scored, significantly worse than the best so far.
    pub dropped: usize,
    /// How many of the others, the winner not counted, are not significantly different from the winner (permutation
    /// tests, 5 % over all pairs by Holm's correction).
    pub indistinguishable: Option<usize>,
    /// Documents scored for the finalists.
    pub documents: usize,
    /// Documents that those who dropped out were not scored on.
    pub documents_saved: usize,
}

/// The candidate with the best score on search. What it scores on holdout is not known: holdout is for the winner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestObserved {
    /// Trial number.
    pub trial: u64,
    /// Its score on search, the best of many and so too good.
    pub search: Estimate,
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

/// The winner against a baseline on the same holdout documents.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Row name of the baseline.
    pub against: String,
    /// Objective of the winner minus the baseline's.
    pub difference: f64,
    /// Lower end of its 95 % interval, by bootstrap.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Two-sided p-value of "no difference", by permutation.
    pub p_value: f64,
    /// The same after Holm's correction for the comparisons with all baselines.
    pub adjusted_p_value: f64,
    /// Whether that is at most 5 %.
    pub significant: bool,
    /// The winner (first) and the baseline (second) on each task whose documents are right or wrong; not corrected.
    pub tasks: Vec<McNemar>,
}
