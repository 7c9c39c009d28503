//! How the exported trial was chosen, and what may be claimed of it.

use super::markdown::counted;
use super::{ChoiceFacts, RunFacts};
use crate::units::Split;

/// The splits, the finals, and how much the search flattered itself.
pub(super) fn honesty(run: &RunFacts) -> String {
    let docs = |split| run.manifest.docs(split).iter().sum::<u64>();
    let mut text = format!(
        "No document is in two splits: {} for the search, {} for choosing among the finalists, {} for the claim.",
        docs(Split::Search),
        docs(Split::Selection),
        docs(Split::Holdout)
    );
    let exported = run.exported().map(|model| model.trial);
    for part in [
        run.choice.as_ref().map(|choice| finals(run, choice, exported)),
        gap(run),
        run.choice.as_ref().and_then(|choice| naive(choice, exported)),
        Some(claim(run)),
    ] {
        text.extend(part.map(|part| format!(" {part}")));
    }
    text + "\n"
}

fn finals(run: &RunFacts, choice: &ChoiceFacts, exported: Option<u64>) -> String {
    let chosen = match exported == Some(choice.winner) {
        true => "This merge is the run's winner: it was chosen".to_owned(),
        false => format!(
            "The run's winner is trial {}; this merge was named by the user. The winner was chosen",
            choice.winner
        ),
    };
    let baselines = run.scores.iter().filter(|model| model.name != "winner" && !model.is_exported);
    let mut text = format!(
        "{chosen} on selection from {} and {}, of which {} dropped out early.",
        counted(choice.finalists, "finalist"),
        counted(baselines.count(), "baseline"),
        choice.dropped
    );
    if let Some(others) = choice.indistinguishable {
        text.push_str(&match others {
            0 => " Every other finalist can be told from it there.".to_owned(),
            1 => " One other finalist cannot be told from it there.".to_owned(),
            others => format!(" {others} other finalists cannot be told from it there."),
        });
    }
    text
}

/// Optimism: what picking on seen documents added.
fn gap(run: &RunFacts) -> Option<String> {
    let exported = run.exported()?;
    let score = |split| Some(exported.on(split)?.objective.value);
    let gap = score(Split::Search)? - score(Split::Holdout)?;
    Some(format!("Its score on search minus that on holdout is {:+.1} points.", 100.0 * gap))
}

fn naive(choice: &ChoiceFacts, exported: Option<u64>) -> Option<String> {
    let (trial, search) = choice.best_observed?;
    let which = if exported == Some(trial) {
        "this merge's".to_owned()
    } else {
        format!("trial {trial}'s")
    };
    Some(format!(
        "The best score seen on search, {:.1} ({which}), is what a search without selection would have claimed.",
        100.0 * search.value
    ))
}

fn claim(run: &RunFacts) -> String {
    let holdout = run.exported().and_then(|model| model.on(Split::Holdout));
    match holdout {
        Some(scores) => {
            let score = scores.objective;
            let [value, low, high] =
                [score.value, score.low, score.high].map(|share| 100.0 * share);
            format!(
                "What is claimed is the holdout score, {value:.1} (95 % interval {low:.1} to {high:.1})."
            )
        }
        None => "This merge was not scored on holdout, so nothing is claimed of it.".to_owned(),
    }
}
