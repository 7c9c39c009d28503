//! What the finals have shown, as the run's last event.

use super::Selected;
use super::race::{Fate, Origin, cost};
use crate::objective::{Contest, against_each, compare_metrics};
use crate::record::{FrontRow, Trial};
use crate::search::baselines::Baseline;
use crate::search::event::{BestObserved, Comparison, Finals, OtherMetrics, Report, Standing};
use crate::search::session::Session;
use crate::units::{Seed, Split};

pub(super) fn report(
    session: &Session<'_>,
    baselines: &[Baseline],
    selected: &Selected,
    holdout: &Trial,
    front: Vec<FrontRow>,
    seed: Seed,
) -> Report {
    let winner = &selected.winner;
    let comparisons = comparisons(session, baselines, holdout, seed);
    let against = |baseline: Option<&Baseline>| {
        let name = &baseline?.name;
        comparisons.iter().find(|comparison| comparison.against == *name).cloned()
    };
    let uniform = baselines.iter().find(is_uniform);
    let best_parent = best_parent(baselines);
    let archive = session.archive();
    let search = archive.objective_of(winner.trial);
    Report {
        aggregate: session.aggregate.clone(),
        winner: Standing {
            trial: winner.trial,
            name: "winner".to_owned(),
            recipe: winner.recipe.clone(),
            objectives: [search, winner.objective, holdout.objective],
        },
        nothing_better: selected.origin == Origin::Baseline,
        finals: finals(session, selected),
        best_observed: archive
            .contenders()
            .first()
            .map(|contender| BestObserved { trial: contender.trial, search: contender.objective }),
        candidates: archive.candidates(),
        infeasible: archive.infeasible(),
        against_best_parent: against(best_parent),
        against_base: against(baselines.first()),
        against_uniform: against(uniform),
        comparisons: comparisons.len(),
        other_metrics: other_metrics(
            session,
            [best_parent, uniform, baselines.first()].into_iter().flatten(),
            holdout,
        ),
        front,
        beyond_limits: archive.beyond_limits(),
        elapsed: session.clock.elapsed(),
        baselines: baselines.iter().map(standing).collect(),
    }
}

fn is_uniform(baseline: &&Baseline) -> bool {
    baseline.name == "uniform"
}

/// By selection, so that the comparison on holdout is not with the luckiest there; of equals the first.
fn best_parent(baselines: &[Baseline]) -> Option<&Baseline> {
    let value = |baseline: &Baseline| {
        baseline.on(Split::Selection).objective.map_or(f64::NEG_INFINITY, |score| score.value)
    };
    let parents = baselines.iter().rev().filter(|baseline| !is_uniform(baseline));
    parents.max_by(|a, b| value(a).total_cmp(&value(b)))
}

fn standing(baseline: &Baseline) -> Standing {
    let trial = baseline.on(Split::Search);
    Standing {
        trial: trial.trial,
        name: baseline.name.clone(),
        recipe: trial.recipe.clone(),
        objectives: Split::ALL.map(|split| baseline.on(split).objective),
    }
}

fn finals(session: &Session<'_>, selected: &Selected) -> Finals {
    let raced = || selected.racers.iter().filter(|racer| racer.origin != Origin::Baseline);
    let cost = cost(&selected.racers, session.evaluator.items(Split::Selection));
    Finals {
        winner_from: selected.origin,
        finalists: raced().count(),
        recommended: raced().filter(|racer| racer.origin == Origin::Recommended).count(),
        dropped: raced().filter(|racer| racer.fate == Fate::Dropped).count(),
        indistinguishable: selected.indistinguishable,
        documents: cost.documents,
        documents_saved: cost.saved,
    }
}

/// The winner against every baseline on holdout but itself.
fn comparisons(
    session: &Session<'_>,
    baselines: &[Baseline],
    holdout: &Trial,
    seed: Seed,
) -> Vec<Comparison> {
    let Some(ours) = holdout.outcome.evaluation() else {
        return Vec::new();
    };
    let others: Vec<_> = (baselines.iter())
        .filter(|baseline| baseline.on(Split::Holdout).trial != holdout.trial)
        .filter_map(|baseline| Some((baseline, baseline.on(Split::Holdout).outcome.evaluation()?)))
        .collect();
    let theirs: Vec<_> = others.iter().map(|(_, evaluation)| *evaluation).collect();
    let contests = against_each(&session.aggregate, ours, &theirs, seed);
    (others.iter().zip(contests))
        .filter_map(|((baseline, _), contest)| Some(comparison(baseline, contest?)))
        .collect()
}

fn comparison(baseline: &Baseline, contest: Contest) -> Comparison {
    Comparison {
        against: baseline.name.clone(),
        difference: contest.difference.difference,
        low: contest.difference.low,
        high: contest.difference.high,
        p_value: contest.difference.p_value,
        adjusted_p_value: contest.adjusted_p_value,
        significant: contest.is_significant(),
        tasks: contest.tasks,
    }
}

/// What metrics that are not judged say of the winner against each of `baselines`, once each.
fn other_metrics<'a>(
    session: &Session<'_>,
    baselines: impl Iterator<Item = &'a Baseline>,
    holdout: &Trial,
) -> Vec<OtherMetrics> {
    let judged = session.judged();
    let judged: Vec<&str> = judged.iter().map(String::as_str).collect();
    let mut found: Vec<OtherMetrics> = Vec::new();
    for baseline in baselines {
        let theirs = baseline.on(Split::Holdout).outcome.evaluation();
        if let (Some(ours), Some(theirs)) = (holdout.outcome.evaluation(), theirs)
            && found.iter().all(|other| other.against != baseline.name)
        {
            let metrics = compare_metrics(&session.aggregate, &judged, ours, theirs);
            found.push(OtherMetrics { against: baseline.name.clone(), metrics });
        }
    }
    found
}
