//! Who wins, on documents that the search did not see; and by how much, on documents that nobody saw.

mod blocks;
mod entrants;
mod front;
mod race;
mod readme;
mod report;
mod reserve;

pub use race::Origin;
pub(super) use reserve::{Places, places_that_fit, reserve};

use super::SearchError;
use super::baselines::Baseline;
use super::event::{Report, SearchEvent};
use super::session::{Job, Session};
use crate::genome::Genotype;
use crate::objective::indistinguishable;
use crate::outcome::TaskScore;
use crate::recipe::Recipe;
use crate::record::{Trial, TrialKind};
use crate::units::{Seed, Split};
use blocks::{blocks, scores_on};
use entrants::{Entrant, entrants};
use race::{Racer, Rules, choose, race, running};

/// At most so many of the optimizer's recommendations are finalists.
pub(super) const RECOMMENDED: usize = 3;

/// Races the finalists on selection, scores the winner on holdout, and measures the front; `None` = interrupted. `places`:
/// how many take part.
pub(super) fn decide(
    session: &Session<'_>,
    baselines: &[Baseline],
    places: Places,
    recommended: Recommended,
    seed: Seed,
) -> Result<Option<Report>, SearchError> {
    session.end_search()?;
    let entrants = entrants(session, baselines, places.observed, &recommended);
    let finalists = entrants.iter().filter(|e| e.origin != Origin::Baseline).count();
    session.emit(SearchEvent::Selecting { finalists });
    let Some(selected) = select(session, entrants, baselines, seed)? else {
        return Ok(None);
    };
    session.emit(SearchEvent::HoldingOut);
    let Some(holdout) = hold_out(session, &selected.winner)? else {
        return Ok(None);
    };
    // Before anything is measured: a run that is stopped then is of use as it stands.
    session.writer().write_text("best.yaml", &selected.winner.recipe)?;
    let front = if front::is_wanted(session) {
        let most = places.members;
        front::measured(session, baselines, &selected, &holdout, &recommended, most)?
    } else {
        Some(front::pooled(session, baselines, &selected, &holdout))
    };
    let Some(front) = front else { return Ok(None) };
    session.writer().write_front(&front)?;
    let report = report::report(session, baselines, &selected, &holdout, front, seed);
    session.writer().write_text("README.md", &readme::readme(&report))?;
    Ok(Some(report))
}

/// What the optimizer hands over.
pub(super) struct Recommended {
    /// Best guess first.
    pub genotypes: Vec<Genotype>,
    /// Whether they were learnt from all candidates; otherwise they are the luckiest observed.
    pub learnt: bool,
}

/// What the race on selection has shown.
struct Selected {
    /// Its row on the whole split.
    winner: Trial,
    origin: Origin,
    racers: Vec<Racer>,
    entrants: Vec<Entrant>,
    /// Finalists but the winner that nothing tells from it; `None` where that cannot be tested.
    indistinguishable: Option<usize>,
}

fn select(
    session: &Session<'_>,
    mut entrants: Vec<Entrant>,
    baselines: &[Baseline],
    seed: Seed,
) -> Result<Option<Selected>, SearchError> {
    let rules = Rules { aggregate: &session.aggregate, seed };
    let seen = blocks(&session.evaluator.docs(Split::Selection), seed);
    let origins: Vec<Origin> = entrants.iter().map(|entrant| entrant.origin).collect();
    let scored = |block: usize, running: &[usize]| {
        let documents = seen[block].as_ref();
        let jobs: Vec<(Job, Option<Trial>)> = (running.iter())
            .filter_map(|index| entrants[*index].job(session, block, documents))
            .collect();
        for trial in session.run_further(&jobs)? {
            let Some(trial) = trial else {
                return Ok(None);
            };
            if let Some(entrant) = entrants.iter_mut().find(|e| e.trial == trial.trial) {
                entrant.on_selection = Some(trial);
            }
        }
        let scores = |index: &usize| entrants[*index].scores(session, documents);
        Ok::<_, SearchError>(Some(running.iter().map(scores).collect()))
    };
    let Some(racers) = race(rules, &origins, seen.len(), scored)? else {
        return Ok(None);
    };
    let chosen = choose(&racers, rules)
        .and_then(|winner| Some((winner, entrants.get(winner)?.on_selection.clone()?)));
    let Some((index, winner)) = chosen else {
        return fall_back(entrants, racers, baselines);
    };
    // Whoever was scored on the whole split, baselines only where one wins.
    let models: Vec<(u64, &[TaskScore])> = (running(&racers).into_iter())
        .filter(|other| *other == index || racers[*other].origin != Origin::Baseline)
        .map(|other| (entrants[other].trial, &racers[other].scores[..]))
        .collect();
    let indistinguishable = indistinguishable(rules.aggregate, &models, winner.trial, seed);
    Ok(Some(Selected {
        origin: racers[index].origin,
        indistinguishable: indistinguishable.ok(),
        winner,
        racers,
        entrants,
    }))
}

/// Where no finalist can be scored on selection or keeps the limits there, and the baselines do not keep them: the first
/// baseline that can be scored.
fn fall_back(
    entrants: Vec<Entrant>,
    racers: Vec<Racer>,
    baselines: &[Baseline],
) -> Result<Option<Selected>, SearchError> {
    let scored = |baseline: &&Baseline| baseline.on(Split::Selection).objective.is_some();
    let Some(baseline) = baselines.iter().find(scored) else {
        return Err(SearchError::Executor("there is no baseline to fall back on".to_owned()));
    };
    Ok(Some(Selected {
        winner: baseline.on(Split::Selection).clone(),
        origin: Origin::Baseline,
        racers,
        entrants,
        indistinguishable: None,
    }))
}

/// The winner's row on holdout; its row on search too, where it has none yet or only one of a race's few documents.
fn hold_out(session: &Session<'_>, winner: &Trial) -> Result<Option<Trial>, SearchError> {
    let recipe = match &winner.genotype {
        Some(genotype) => session.decoder.decode(genotype),
        None => Recipe::from_yaml(&winner.recipe)
            .map_err(|_| SearchError::ReplayDiffers { trial: winner.trial })?,
    };
    let job = |name: Option<&str>, split| Job {
        trial: winner.trial,
        name: name.map(str::to_owned),
        generation: winner.generation,
        kind: TrialKind::Final,
        split,
        rung: 0,
        docs: None,
        recipe: recipe.clone(),
        genotype: winner.genotype.clone(),
    };
    let mut jobs = vec![job(Some("winner"), Split::Holdout)];
    let raced = session.raced && winner.genotype.is_some();
    if raced || session.archive().objective_of(winner.trial).is_none() {
        jobs.push(job(None, Split::Search));
    }
    let trials: Option<Vec<Trial>> = session.run(&jobs)?.into_iter().collect();
    Ok(trials.and_then(|trials| trials.into_iter().next()))
}

#[cfg(test)]
mod simulation;
