//! What the papers are filled with.

use crate::recipe::Recipe;
use crate::record::{Estimate, FrontRow, RunManifest};
use crate::submission::competition::SubmissionManifest;
use crate::units::{Bytes, Seconds, Split};

/// What the papers of a competition's submission say.
#[derive(Debug, Clone, PartialEq)]
pub struct SubmissionFacts {
    /// Class, method, models, run and trial. Its `files` are not read, so that they may be added afterwards.
    pub manifest: SubmissionManifest,
    /// Under the published names of its models.
    pub recipe: Recipe,
    /// New tokens of a text at most.
    pub max_gen_len: usize,
    /// What the run's scores were measured with and the class does not have, a part of a sentence each.
    pub only_in_the_run: Vec<String>,
    /// Of the export, besides the run, the trial, `--format` and the output folder.
    pub options: Vec<String>,
    /// Of the models and of what is made of them.
    pub licences: Licences,
    /// Where the trial comes from.
    pub run: RunFacts,
}

/// On what terms the models may be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Licences {
    /// One list per model of the manifest, in its order: the model's own licence, and its adapter's; `None`: not known.
    pub parents: Vec<Vec<Option<HubLicence>>>,
    /// Of the merged model; `None`: it does not follow from the parents'.
    pub result: Option<HubLicence>,
    /// Why, a part of a sentence.
    pub because: String,
    /// What whoever publishes the merged model has to do, a sentence each.
    pub obligations: Vec<String>,
}

/// A licence in the words of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubLicence {
    /// `apache-2.0`, `llama3`, `other`, …
    pub id: String,
    /// Where `id` is `other`.
    pub name: Option<String>,
    /// Where its text is.
    pub link: Option<String>,
}

/// What a run has found, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// Name of its folder.
    pub name: String,
    /// Command, seed, optimizer, tasks and digests.
    pub manifest: RunManifest,
    /// Name of the search space.
    pub space: String,
    /// Names of the experts.
    pub experts: Vec<String>,
    /// Merge methods of the space.
    pub methods: Vec<String>,
    /// What was searched.
    pub genes: Vec<GeneGroup>,
    /// The baselines in the order they were scored, then the run's winner where another trial is exported, then the exported
    /// trial ([`ModelScores::is_exported`]).
    pub scores: Vec<ModelScores>,
    /// The exported trial against every baseline; empty where it is not the run's winner.
    pub comparisons: Vec<PairedScore>,
    /// How the run's winner was chosen; `None`: the run has none.
    pub choice: Option<ChoiceFacts>,
    /// Accuracy against time, by ascending time: the front's members and the baselines.
    pub front: Vec<FrontRow>,
    /// What it took.
    pub effort: Effort,
}

/// Genes of one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneGroup {
    /// First word of their names.
    pub parameter: String,
    /// How many.
    pub count: usize,
    /// Their values in words.
    pub values: String,
}

/// A model on every split that it was scored on.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelScores {
    /// `base`, an expert's, `uniform`, `winner` or `this merge`.
    pub name: String,
    /// Its number.
    pub trial: u64,
    /// Whether it is what was exported.
    pub is_exported: bool,
    /// On search, selection and holdout.
    pub splits: [Option<SplitScores>; 3],
}

impl ModelScores {
    /// Where it was scored on `split`.
    pub fn on(&self, split: Split) -> Option<&SplitScores> {
        self.splits[split as usize].as_ref()
    }
}

/// A model's scores on one split, in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitScores {
    /// What the run ranks by.
    pub objective: Estimate,
    /// The plain geometric mean over all tasks.
    pub geometric_mean: Estimate,
    /// Of the judged metric, one per task in the manifest's order.
    pub tasks: Vec<Estimate>,
    /// Documents scored.
    pub documents: u64,
}

/// The exported trial minus a baseline on the same holdout documents.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedScore {
    /// The baseline.
    pub baseline: String,
    /// Difference of the objective, in `[-1, 1]`, with its 95 % interval.
    pub difference: Estimate,
    /// After Holm's correction for the number of baselines.
    pub adjusted_p_value: f64,
    /// Whether that is at most 5 %.
    pub significant: bool,
}

/// How the run's winner was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceFacts {
    /// Trial number of the winner.
    pub winner: u64,
    /// How many took part, baselines not counted.
    pub finalists: usize,
    /// How many of them dropped out early.
    pub dropped: usize,
    /// How many of the others cannot be told from the winner; `None`: that could not be tested.
    pub indistinguishable: Option<usize>,
    /// The trial with the best score on search, and that score.
    pub best_observed: Option<(u64, Estimate)>,
}

/// What a run took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Candidates scored on the search split, infeasible ones among them.
    pub candidates: usize,
    /// How many of them were infeasible.
    pub infeasible: usize,
    /// Documents scored for them.
    pub documents: usize,
    /// Time of the last trial, over all sessions.
    pub elapsed: Seconds,
    /// Highest resident memory of the process.
    pub peak: Bytes,
}

impl RunFacts {
    pub(super) fn exported(&self) -> Option<&ModelScores> {
        self.scores.iter().find(|model| model.is_exported)
    }
}
