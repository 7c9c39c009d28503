//! Rows 0..k of every run: what the search has to beat.

use super::event::SearchEvent;
use super::session::{Job, Session};
use super::{Budget, SearchError};
use crate::genome::{passthrough_of, uniform_average};
use crate::outcome::Outcome;
use crate::recipe::Recipe;
use crate::record::{Trial, TrialKind};
use crate::units::Split;

/// A baseline's trials, one per split in [`Split::ALL`]'s order.
pub(super) struct Baseline {
    pub name: String,
    pub trials: Vec<Trial>,
}

impl Baseline {
    pub fn on(&self, split: Split) -> &Trial {
        &self.trials[split as usize]
    }
}

/// Scores base, experts and uniform average on every split; `None` = interrupted.
pub(super) fn score(
    session: &Session<'_>,
    budget: Budget,
) -> Result<Option<Vec<Baseline>>, SearchError> {
    let recipes = recipes(session);
    session.emit(SearchEvent::Baselines { trials: recipes.len() * Split::ALL.len() });
    let mut baselines: Vec<Baseline> = recipes
        .iter()
        .map(|(name, _)| Baseline { name: name.clone(), trials: Vec::new() })
        .collect();
    // Split by split: the record keeps one part open at a time.
    for split in Split::ALL {
        let jobs: Vec<Job> = recipes.iter().enumerate().map(|(i, r)| job(i, r, split)).collect();
        for (baseline, trial) in baselines.iter_mut().zip(session.run(&jobs)?) {
            let Some(trial) = trial else {
                return Ok(None);
            };
            baseline.trials.push(trial);
        }
        check_base(&baselines[0], split)?;
        if split == Split::Search {
            warn_early(session, &baselines, budget);
        }
    }
    Ok(Some(baselines))
}

/// What can be known after the first split: the budget is too small, or the merges are not what was meant.
fn warn_early(session: &Session<'_>, baselines: &[Baseline], budget: Budget) {
    let items = |split| session.evaluator.items(split) as f64;
    let all: f64 = Split::ALL.into_iter().map(items).sum();
    let projected = session.clock.elapsed().0 * all / items(Split::Search);
    if let Budget::WallClock(time) = budget
        && projected > 0.5 * time.as_secs_f64()
    {
        session.emit(SearchEvent::Warning(format!(
            "the baselines alone will need about {projected:.0} s of the {:.0} s",
            time.as_secs_f64()
        )));
    }
    if let Some((name, Outcome::Infeasible { reason })) =
        baselines.last().map(|last| (&last.name, &last.on(Split::Search).outcome))
    {
        session.emit(SearchEvent::Warning(format!("{name} cannot be merged or scored: {reason}")));
    }
}

fn recipes(session: &Session<'_>) -> Vec<(String, Recipe)> {
    let space = session.decoder.space();
    let experts =
        space.experts.iter().map(|expert| (expert.name.clone(), passthrough_of(&expert.model)));
    std::iter::once(("base".to_owned(), passthrough_of(&space.base)))
        .chain(experts)
        .chain([("uniform".to_owned(), uniform_average(space))])
        .collect()
}

fn job(index: usize, (name, recipe): &(String, Recipe), split: Split) -> Job {
    Job {
        trial: index as u64,
        name: Some(name.clone()),
        generation: 0,
        kind: TrialKind::Baseline,
        split,
        rung: 0,
        docs: None,
        recipe: recipe.clone(),
        genotype: None,
    }
}

/// If even the base model gives no score, no candidate will: say so now rather than after the budget.
fn check_base(base: &Baseline, split: Split) -> Result<(), SearchError> {
    match &base.on(split).outcome {
        Outcome::Feasible(_) => Ok(()),
        Outcome::Infeasible { reason } => {
            Err(SearchError::BaseInfeasible { split, reason: reason.clone() })
        }
    }
}
