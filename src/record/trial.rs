//! One row of the record: a recipe, where it came from, and what was measured of it on one split.

use crate::genome::Genotype;
use crate::outcome::{DocSubset, Estimate, Outcome};
use crate::units::{Seconds, Seed, Split};

/// Why a trial was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrialKind {
    /// The base model, an expert, or the uniform average.
    Baseline,
    /// Asked for by the optimizer.
    Candidate,
    /// Scored again (on selection or holdout) to choose or to report the winner.
    Final,
    /// Scored again (on selection or holdout) for the front.
    Front,
}

impl TrialKind {
    const ALL: [TrialKind; 4] =
        [TrialKind::Baseline, TrialKind::Candidate, TrialKind::Final, TrialKind::Front];

    /// The word in the column `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            TrialKind::Baseline => "baseline",
            TrialKind::Candidate => "candidate",
            TrialKind::Final => "final",
            TrialKind::Front => "front",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<TrialKind> {
        TrialKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One recipe scored on one split, or on the part of it that a race has come to.
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
    /// Which step of a race this is, from 0. A row holds everything known after its rung: the documents of all rungs so
    /// far. 0 also where the whole split was scored at once.
    pub rung: u32,
    /// The documents of the split that were scored; `None`: all.
    pub docs: Option<DocSubset>,
    /// What came of it.
    pub outcome: Outcome,
    /// The plain geometric mean of the tasks' accuracies; `None` when infeasible.
    pub geometric_mean: Option<Estimate>,
    /// What the run maximises and ranks by: the manifest's aggregate. `None` when infeasible.
    pub objective: Option<Estimate>,
    /// Mean margin of the right choices over the tasks, in nats (see
    /// [`Aggregate::companion`](crate::objective::Aggregate::companion)). `None` when infeasible.
    pub companion: Option<f64>,
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
