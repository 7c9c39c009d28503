//! A run's trial that a command is about: its winner, or another by its number.

use std::path::Path;

use merge_search::outcome::Outcome;
use merge_search::record::{Trial, TrialKind};
use merge_search::units::Split;

use super::Failure;

/// Number and recipe of the winner, or of trial `number`.
pub fn chosen(trials: &[Trial], number: Option<u64>, run: &Path) -> Result<(u64, String), Failure> {
    let (number, recipe) = match number {
        Some(number) => (number, recipe_of(trials, number, run)?),
        None => recipe_of_winner(trials, run)?,
    };
    require_feasible(trials, number)?;
    Ok((number, recipe))
}

/// The winner's row on the holdout split; none before the search has finished.
pub fn winner(trials: &[Trial]) -> Option<&Trial> {
    trials.iter().find(|trial| trial.kind == TrialKind::Final && trial.split == Split::Holdout)
}

fn recipe_of_winner(trials: &[Trial], run: &Path) -> Result<(u64, String), Failure> {
    winner(trials).map(|trial| (trial.trial, trial.recipe.clone())).ok_or_else(|| {
        Failure::input(format!("{} has no winner yet: its search has not finished", run.display()))
            .remedy(format!(
                "finish it with --resume {}, or name a trial with --trial N",
                run.display()
            ))
    })
}

fn recipe_of(trials: &[Trial], number: u64, run: &Path) -> Result<String, Failure> {
    let found = trials.iter().find(|trial| trial.trial == number);
    found.map(|trial| trial.recipe.clone()).ok_or_else(|| {
        let last = trials.iter().map(|trial| trial.trial).max().unwrap_or(0);
        Failure::input(format!("--trial {number}: {} has trials 0 to {last}", run.display()))
            .remedy("leave --trial away for the winner")
    })
}

/// What could not be scored is nothing to hand on.
fn require_feasible(trials: &[Trial], number: u64) -> Result<(), Failure> {
    let rows = trials.iter().filter(|trial| trial.trial == number);
    let reasons = rows.filter_map(|trial| match &trial.outcome {
        Outcome::Infeasible { reason } => Some(reason),
        Outcome::Feasible(_) => None,
    });
    match reasons.into_iter().next() {
        None => Ok(()),
        Some(reason) => Err(Failure::input(format!("trial {number} is infeasible: {reason}"))
            .remedy("name another trial with --trial N")),
    }
}
