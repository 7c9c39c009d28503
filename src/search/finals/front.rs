//! The front after the search: its candidates on documents that did not choose them, and their times measured again in turns
//! with the base model.
//!
//! What takes part: the winner; the front of the search split, thinned out to [`MEMBERS`] that are spread over time; what the
//! optimizer recommends and nobody has seen yet; and the baselines. Each is scored on the whole selection split, and timed
//! there. On the front are the winner and whoever no other dominates: accuracies are compared by their estimates on
//! selection, times by their 95 % intervals (those that overlap are equal), memory as counted. Then each of the front is
//! scored on holdout, which chooses nothing.

use super::{Recommended, Selected};
use crate::genome::Genotype;
use crate::objective::{Measured, measured_front};
use crate::outcome::{Estimate, Timing};
use crate::recipe::Recipe;
use crate::record::{FrontRow, Trial, TrialKind, TrialTiming};
use crate::search::SearchError;
use crate::search::archive::{FrontMember, by_time};
use crate::search::baselines::Baseline;
use crate::search::event::SearchEvent;
use crate::search::session::{Job, Session};
use crate::space::Objective;
use crate::units::{Seconds, Split};

/// So many models besides the baselines are scored again at most.
pub(super) const MEMBERS: usize = 10;
/// So many of them are what the optimizer recommends.
const RECOMMENDED: usize = 4;
/// How often each is timed.
pub(super) const ROUNDS: usize = 9;

/// Whether there is a choice between models that do not do the same work.
pub(super) fn is_wanted(session: &Session<'_>) -> bool {
    let archive = session.archive();
    let varies = session.decoder.space().routing.varies_time();
    varies && archive.pool().axes().objectives.len() > 1 && archive.graphs() > 1
}

/// A model that may be on the front.
struct Entry {
    trial: u64,
    name: Option<String>,
    generation: u64,
    genotype: Option<Genotype>,
    recipe: Recipe,
    /// `None`: not scored there.
    on_search: Option<Estimate>,
    on_selection: Option<Trial>,
    on_holdout: Option<Trial>,
}

impl Entry {
    fn job(&self, split: Split) -> Job {
        Job {
            trial: self.trial,
            name: None,
            generation: self.generation,
            kind: TrialKind::Front,
            split,
            rung: 0,
            docs: None,
            recipe: self.recipe.clone(),
            genotype: self.genotype.clone(),
        }
    }

    /// On the whole selection split.
    fn is_selected(&self) -> bool {
        self.on_selection.as_ref().is_some_and(|trial| trial.docs.is_none())
    }

    fn is_feasible(&self) -> bool {
        let evaluation = self.on_selection.as_ref().and_then(|trial| trial.outcome.evaluation());
        self.is_selected() && evaluation.is_some()
    }

    fn row(&self, member: bool, timing: Option<Timing>) -> Option<FrontRow> {
        let trial = self.on_selection.as_ref()?;
        let evaluation = trial.outcome.evaluation()?;
        let on_holdout = self.on_holdout.as_ref().and_then(|trial| trial.objective);
        Some(FrontRow {
            trial: self.trial,
            name: self.name.clone(),
            member,
            objectives: [self.on_search, trial.objective, on_holdout],
            relative_time: timing
                .map_or(evaluation.relative_time, |timing| timing.relative_time.value),
            timing,
            cost: evaluation.cost,
            recipe: trial.recipe.clone(),
        })
    }
}

/// Front and baselines by ascending time; `None` = interrupted. At most `most` models besides the baselines take part.
pub(super) fn measured(
    session: &Session<'_>,
    baselines: &[Baseline],
    selected: &Selected,
    holdout: &Trial,
    recommended: &Recommended,
    most: usize,
) -> Result<Option<Vec<FrontRow>>, SearchError> {
    let mut entries = entries(session, baselines, selected, holdout, recommended, most)?;
    if !score(session, &mut entries, Split::Selection, |entry| !entry.is_selected())? {
        return Ok(None);
    }
    entries.retain(Entry::is_feasible);
    let models: Vec<(u64, &Recipe)> = entries.iter().map(|e| (e.trial, &e.recipe)).collect();
    session.emit(SearchEvent::Measuring { models: models.len() });
    let Some(timings) = session.timings(&models, ROUNDS)? else { return Ok(None) };
    let winner = selected.winner.trial;
    let members = members(session, &entries, &timings, winner);
    let is_member = |entry: &Entry| members.contains(&entry.trial);
    let unseen = |entry: &Entry| is_member(entry) && entry.on_holdout.is_none();
    if !score(session, &mut entries, Split::Holdout, unseen)? {
        return Ok(None);
    }
    let rows = entries.iter().zip(&timings);
    let mut rows: Vec<FrontRow> =
        rows.filter_map(|(entry, (_, timing))| entry.row(is_member(entry), *timing)).collect();
    rows.sort_by(by_time);
    Ok(Some(rows))
}

/// The trials of the front.
fn members(
    session: &Session<'_>,
    entries: &[Entry],
    timings: &[TrialTiming],
    winner: u64,
) -> Vec<u64> {
    let archive = session.archive();
    let axes = archive.pool().axes();
    let with = |objective: Objective| axes.objectives.contains(&objective);
    let none = Estimate { value: f64::NAN, low: f64::NAN, high: f64::NAN };
    let model = |(entry, (_, timing)): (&Entry, &TrialTiming)| {
        let trial = entry.on_selection.as_ref();
        let cost = trial.and_then(|trial| trial.outcome.evaluation()).map(|known| known.cost);
        let memory = cost.map_or(f64::NAN, |cost| archive.pool().relative_memory(cost));
        let time = timing.map_or(none, |timing| timing.relative_time);
        // As equal times overlap, a limit is passed where the whole interval is above it.
        let kept = axes.constraints.excess(time.low, memory) == 0.0;
        let accuracy = trial.and_then(|trial| trial.objective).filter(|_| kept);
        let same = Estimate { value: 1.0, low: 1.0, high: 1.0 };
        Measured {
            accuracy: accuracy.map_or(f64::NAN, |accuracy| accuracy.value),
            time: if with(Objective::RelativeTime) { time } else { same },
            memory: if with(Objective::RelativeMemory) { memory } else { 1.0 },
        }
    };
    let models: Vec<Measured> = entries.iter().zip(timings).map(model).collect();
    let on_front = entries.iter().zip(measured_front(&models));
    let member = |(entry, on_front): (&Entry, bool)| {
        (on_front || entry.trial == winner).then_some(entry.trial)
    };
    on_front.filter_map(member).collect()
}

/// Scores those of `entries` that are `wanted` on the whole of `split`; `false` = interrupted.
fn score(
    session: &Session<'_>,
    entries: &mut [Entry],
    split: Split,
    wanted: impl Fn(&Entry) -> bool,
) -> Result<bool, SearchError> {
    let jobs: Vec<(Job, Option<Trial>)> = (entries.iter())
        .filter(|entry| wanted(entry))
        .map(|entry| {
            let before = entry.on_selection.clone().filter(|_| split == Split::Selection);
            (entry.job(split), before)
        })
        .collect();
    for trial in session.run_further(&jobs)? {
        let Some(trial) = trial else { return Ok(false) };
        if let Some(entry) = entries.iter_mut().find(|entry| entry.trial == trial.trial) {
            let place = match split {
                Split::Holdout => &mut entry.on_holdout,
                Split::Search | Split::Selection => &mut entry.on_selection,
            };
            *place = Some(trial);
        }
    }
    Ok(true)
}

/// Baselines first, then by number.
fn entries(
    session: &Session<'_>,
    baselines: &[Baseline],
    selected: &Selected,
    holdout: &Trial,
    recommended: &Recommended,
    most: usize,
) -> Result<Vec<Entry>, SearchError> {
    let mut entries = Vec::new();
    for baseline in baselines {
        let trial = baseline.on(Split::Selection);
        entries.push(Entry {
            trial: trial.trial,
            name: Some(baseline.name.clone()),
            generation: trial.generation,
            genotype: None,
            recipe: Recipe::from_yaml(&trial.recipe)
                .map_err(|_| SearchError::ReplayDiffers { trial: trial.trial })?,
            on_search: baseline.on(Split::Search).objective,
            on_selection: Some(trial.clone()),
            on_holdout: Some(baseline.on(Split::Holdout).clone()),
        });
    }
    let winner = &selected.winner;
    for chosen in candidates(session, selected, recommended, most) {
        let recipe = session.decoder.decode(&chosen.genotype);
        let won = chosen.trial == winner.trial;
        let known = selected.entrants.iter().find(|entrant| entrant.trial == chosen.trial);
        entries.push(Entry {
            trial: chosen.trial,
            name: won.then(|| "winner".to_owned()),
            generation: chosen.generation,
            genotype: Some(chosen.genotype),
            recipe,
            on_search: session.archive().objective_of(chosen.trial),
            on_selection: known.and_then(|entrant| entrant.on_selection.clone()),
            on_holdout: won.then(|| holdout.clone()),
        });
    }
    entries[baselines.len()..].sort_by_key(|entry| entry.trial);
    Ok(entries)
}

/// A candidate that takes part.
#[derive(Debug, Clone, PartialEq)]
struct Chosen {
    trial: u64,
    generation: u64,
    genotype: Genotype,
}

/// The winner, recommendations, and the front of the search split; each once.
fn candidates(
    session: &Session<'_>,
    selected: &Selected,
    recommended: &Recommended,
    most: usize,
) -> Vec<Chosen> {
    let winner = &selected.winner;
    let winner = winner.genotype.clone().map(|genotype| Chosen {
        trial: winner.trial,
        generation: winner.generation,
        genotype,
    });
    let mut chosen: Vec<Chosen> = winner.into_iter().collect();
    let is_new = |chosen: &[Chosen], genotype: &Genotype| {
        chosen.iter().all(|other| other.genotype != *genotype)
    };
    for recommendation in recommendations(session, selected, recommended, most) {
        if is_new(&chosen, &recommendation.genotype) {
            chosen.push(recommendation);
        }
    }
    let archive = session.archive();
    let front: Vec<FrontMember> = (archive.front().into_iter())
        .filter(|member| member.model.genotype.as_ref().is_some_and(|g| is_new(&chosen, g)))
        .collect();
    let times: Vec<f64> = front.iter().map(|member| member.relative_time).collect();
    for index in spread_over(&times, most.saturating_sub(chosen.len())) {
        let model = &front[index].model;
        let (trial, generation) = (model.trial, model.generation);
        let genotype = model.genotype.clone();
        chosen.extend(genotype.map(|genotype| Chosen { trial, generation, genotype }));
    }
    chosen
}

/// Recommended genotypes that the search has not scored, evenly spaced over the optimizer's order. One that was a finalist
/// keeps its number; the others get those after the last.
fn recommendations(
    session: &Session<'_>,
    selected: &Selected,
    recommended: &Recommended,
    most: usize,
) -> Vec<Chosen> {
    let archive = session.archive();
    let (last, generation) = archive.last_candidate().unwrap_or_default();
    let finalists = selected.entrants.iter().map(|entrant| entrant.trial);
    let mut next = finalists.fold(last, u64::max);
    let mut unseen: Vec<&Genotype> = Vec::new();
    for genotype in &recommended.genotypes {
        if archive.known(genotype).is_none() && !unseen.contains(&genotype) {
            unseen.push(genotype);
        }
    }
    let wanted = RECOMMENDED.min(most.saturating_sub(1));
    let chosen = evenly(unseen.len(), wanted).into_iter().map(|index| {
        let genotype = unseen[index];
        let finalist = selected.entrants.iter().find(|e| e.genotype.as_ref() == Some(genotype));
        let trial = finalist.map_or_else(
            || {
                next += 1;
                next
            },
            |finalist| finalist.trial,
        );
        Chosen { trial, generation: generation + 1, genotype: genotype.clone() }
    });
    chosen.collect()
}

/// At most `wanted` of the indices below `count`, the first and (of two or more) the last among them.
fn evenly(count: usize, wanted: usize) -> Vec<usize> {
    match (count, wanted) {
        (_, 0) => Vec::new(),
        (count, wanted) if count <= wanted => (0..count).collect(),
        (_, 1) => vec![0],
        _ => (0..wanted).map(|index| index * (count - 1) / (wanted - 1)).collect(),
    }
}

/// At most `wanted` of these ascending times, as indices: while there are too many, the one whose neighbours are closest (as
/// a ratio) goes; the fastest and the slowest stay.
fn spread_over(times: &[f64], wanted: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..times.len()).collect();
    while kept.len() > wanted.max(2) {
        let ratio = |three: &[usize]| times[three[2]] / times[three[0]];
        let ratios = kept.windows(3).map(ratio).enumerate();
        let closest = ratios.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index + 1);
        kept.remove(closest);
    }
    kept.truncate(wanted);
    kept
}

/// Front and baselines where there is nothing to measure: all models do the same work, or time does not count.
pub(super) fn pooled(
    session: &Session<'_>,
    baselines: &[Baseline],
    selected: &Selected,
    holdout: &Trial,
) -> Vec<FrontRow> {
    let mut rows = session.archive().front_rows();
    for row in &mut rows {
        let baseline = baselines.iter().find(|b| b.on(Split::Search).trial == row.trial);
        if let Some(baseline) = baseline {
            row.objectives = Split::ALL.map(|split| baseline.on(split).objective);
        } else if row.trial == selected.winner.trial {
            row.name = holdout.name.clone();
            row.objectives[1] = selected.winner.objective;
            row.objectives[2] = holdout.objective;
        }
    }
    rows
}

/// Seconds for all this on one core: scoring (side by side) `members` models on selection and on holdout, and timing them and
/// the baselines one after the other.
pub(super) fn seconds(
    members: usize,
    baselines: usize,
    workers: usize,
    [selection, holdout]: [Seconds; 2],
) -> Seconds {
    let waves = members.div_ceil(workers.max(1)) as f64;
    let timed = (members + baselines) as f64 * ROUNDS as f64 * TIMED_SHARE * selection.0;
    Seconds(waves * (selection.0 + holdout.0) + timed)
}

/// Share of the selection split that a round of timing takes.
const TIMED_SHARE: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_spread_over_time() {
        // Ratios of the neighbours: 0.55/0.5, 0.6/0.52, 1.2/0.55, 2/0.6 … the second and then the third go.
        let times = [0.5, 0.52, 0.55, 0.6, 1.2, 2.0];
        assert_eq!(spread_over(&times, 5), [0, 2, 3, 4, 5]);
        assert_eq!(spread_over(&times, 4), [0, 3, 4, 5]);
        assert_eq!(spread_over(&times, 2), [0, 5]);
        assert_eq!(spread_over(&times, 1), [0]);
        assert_eq!(spread_over(&times, 0), [0; 0]);
        assert_eq!(spread_over(&times, 9), [0, 1, 2, 3, 4, 5]);
        assert_eq!(spread_over(&[], 3), [0; 0]);
    }

    #[test]
    fn evenly_spaced_with_both_ends() {
        assert_eq!(evenly(10, 4), [0, 3, 6, 9]);
        assert_eq!(evenly(3, 4), [0, 1, 2]);
        assert_eq!((evenly(3, 1), evenly(3, 0), evenly(0, 2)), (vec![0], vec![], vec![]));
    }

    /// Two waves of 5 + 3 s, and (4 + 6) models timed five times for a tenth of 5 s.
    #[test]
    fn seconds_by_hand() {
        let total = seconds(4, 6, 2, [Seconds(5.0), Seconds(3.0)]);
        // Two waves of 8 seconds; ten models in nine rounds of half a second.
        assert!((total.0 - (16.0 + 45.0)).abs() < 1e-12, "{total:?}");
    }
}
