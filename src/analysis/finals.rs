//! How the winner was chosen on the selection split.

use serde::Serialize;

use super::standings::WINNER;
use crate::objective::indistinguishable;
use crate::outcome::{Evaluation, TaskScore};
use crate::record::{Estimate, RunManifest, Trial, TrialKind};
use crate::units::Split;

/// The race of the finalists. Baselines take part and are not counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finals {
    /// How many there were.
    pub finalists: usize,
    /// How many of them dropped out before all documents were scored.
    pub dropped: usize,
    /// How many of the others, the winner not counted, are not significantly different from the winner (permutation
    /// tests, 5 % over all pairs by Holm's correction).
    pub indistinguishable: Option<usize>,
    /// Documents scored for them.
    pub documents: usize,
    /// Documents that those who dropped out were not scored on.
    pub documents_saved: usize,
    /// The candidate with the best score on search: what a search without selection would have claimed.
    pub best_observed: Option<BestObserved>,
}

/// A candidate and its score on search, which is the best of many and so too good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BestObserved {
    /// Trial number.
    pub trial: u64,
    /// On search.
    pub search: Estimate,
}

/// `None` before the winner was scored on holdout. `trials` has the last row of each raced trial.
pub(super) fn finals(trials: &[Trial], manifest: &RunManifest) -> Option<Finals> {
    let winner = trials.iter().find(|trial| trial.name.as_deref() == Some(WINNER))?.trial;
    let on_selection = || trials.iter().filter(|trial| trial.split == Split::Selection);
    let raced = || on_selection().filter(|trial| trial.kind == TrialKind::Final);
    let feasible = |trial: &&Trial| trial.outcome.evaluation().is_some();
    let dropped = || raced().filter(feasible).filter(|trial| trial.docs.is_some());
    let all: u64 = manifest.tasks.iter().map(|task| task.docs.selection).sum();
    let items = |trial: &Trial| trial.outcome.evaluation().map_or(0, Evaluation::items);
    let models: Vec<(u64, &[TaskScore])> = on_selection()
        .filter(|trial| trial.kind == TrialKind::Final || trial.trial == winner)
        .filter(|trial| trial.docs.is_none())
        .filter_map(|trial| Some((trial.trial, &trial.outcome.evaluation()?.tasks[..])))
        .collect();
    let alike = indistinguishable(&manifest.objective, &models, winner, manifest.seed);
    Some(Finals {
        finalists: raced().count(),
        dropped: dropped().count(),
        indistinguishable: alike.ok(),
        documents: raced().map(items).sum(),
        documents_saved: dropped().map(|trial| (all as usize).saturating_sub(items(trial))).sum(),
        best_observed: best_observed(trials),
    })
}

/// Of equals the first. Where candidates have seen different documents, the best is who has the highest lower end of the
/// interval, as in the search itself.
fn best_observed(trials: &[Trial]) -> Option<BestObserved> {
    let candidates = trials
        .iter()
        .filter(|trial| trial.kind == TrialKind::Candidate && trial.split == Split::Search);
    let raced = candidates.clone().any(|trial| trial.docs.is_some());
    let scored = candidates
        .filter_map(|trial| Some(BestObserved { trial: trial.trial, search: trial.objective? }));
    let merit = |best: &BestObserved| if raced { best.search.low } else { best.search.value };
    scored.max_by(|a, b| merit(a).total_cmp(&merit(b)).then(b.trial.cmp(&a.trial)))
}
