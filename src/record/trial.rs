//! One row of the record: a recipe, where it came from, and what was measured of it on one split.

use crate::genome::Genotype;
use crate::outcome::Outcome;
use crate::units::{Seconds, Seed, Split};

/// Why a trial was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialKind {
    /// The base model, an expert, or the uniform average.
    Baseline,
    /// Asked for by the optimizer.
    Candidate,
    /// Scored again (on selection or holdout) to choose or to report the winner.
    Final,
}

/// A geometric mean of the tasks' accuracies with its 95 % confidence interval, all in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeometricMean {
    /// Point estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// One recipe scored on one split.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Number of the recipe within the run. The same recipe keeps its number on every split.
    pub trial: u64,
    /// `base`, an expert's name, `uniform`, `winner`, or nothing.
    pub name: Option<String>,
    /// Generation that asked for it; 0 for baselines.
    pub generation: u64,
    /// Why it was scored.
    pub kind: TrialKind,
    /// On which documents.
    pub split: Split,
    /// What came of it.
    pub outcome: Outcome,
    /// `None` when infeasible.
    pub geometric_mean: Option<GeometricMean>,
    /// The recipe as YAML that mergekit reads too.
    pub recipe: String,
    /// `None` for baselines, which no genotype need express.
    pub genotype: Option<Genotype>,
    /// Seed of the random masks in this recipe.
    pub seed: Seed,
    /// Seconds since the run began (over all sessions) when the trial was finished.
    pub elapsed: Seconds,
    /// Microseconds since the Unix epoch, UTC.
    pub started_at: i64,
}
