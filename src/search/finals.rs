//! Who wins, on documents that the search did not see; and by how much, on documents that nobody saw.

use super::baselines::Baseline;
use super::budget::Reserve;
use super::event::{Comparison, OtherMetrics, Report, SearchEvent, Standing};
use super::session::{Job, Session};
use super::{FINALISTS, SearchError};
use crate::genome::Genotype;
use crate::objective::{Aggregate, RESAMPLES, compare_metrics, paired_difference};
use crate::recipe::Recipe;
use crate::record::{Trial, TrialKind};
use crate::units::{Seconds, Seed, Split};

/// What to keep back of a wall-clock budget for everything after the last candidate.
pub(super) fn reserve(session: &Session<'_>, baselines: &[Baseline]) -> Reserve {
    let slowest = |split: Split| {
        let seconds = baselines.iter().filter_map(|baseline| {
            let evaluation = baseline.on(split).outcome.evaluation()?;
            Some(evaluation.score_seconds.0)
        });
        seconds.fold(0.0, f64::max)
    };
    // Finalists and the distribution's mean on selection, side by side; the mean on search too; the winner alone on
    // holdout.
    let workers = session.workers.count() as f64;
    let finalists = (FINALISTS + 1) as f64 * slowest(Split::Selection) + slowest(Split::Search);
    let waves = finalists / workers + slowest(Split::Selection);
    Reserve {
        scoring: Seconds(waves + slowest(Split::Holdout)),
        merges: (FINALISTS + 2) as f64 / workers + 2.0,
    }
}

/// Scores the finalists on selection, chooses, and scores the winner on holdout; `None` = interrupted.
pub(super) fn decide(
    session: &Session<'_>,
    baselines: Vec<Baseline>,
    mean: Option<Genotype>,
    seed: Seed,
) -> Result<Option<Report>, SearchError> {
    session.end_search()?;
    let jobs = finalists(session, baselines.len() as u64, mean);
    session.emit(SearchEvent::Selecting { finalists: jobs.len() });
    let mut selected = Vec::new();
    for trial in session.run(&jobs)? {
        match trial {
            Some(trial) if trial.split == Split::Selection => selected.push(trial),
            Some(_) => {}
            None => return Ok(None),
        }
    }
    let on_selection = baselines.iter().map(|b| b.on(Split::Selection)).chain(&selected);
    let Some(winner) = on_selection.max_by(by_objective).cloned() else {
        return Err(SearchError::Executor("there is no baseline to fall back on".to_owned()));
    };
    session.emit(SearchEvent::HoldingOut);
    let Some(Some(holdout)) = session.run(&[holdout_job(session, &winner)?])?.pop() else {
        return Ok(None);
    };
    session.write_front()?;
    session.writer().write_text("best.yaml", &winner.recipe)?;
    let summary = summary(&session.aggregate, &baselines, &winner, &holdout);
    session.writer().write_text("README.md", &summary)?;
    Ok(Some(report(session, &baselines, &winner, &holdout, seed)))
}

/// The run folder's README: what it is and what was found.
fn summary(
    aggregate: &Aggregate,
    baselines: &[Baseline],
    winner: &Trial,
    holdout: &Trial,
) -> String {
    let shown = |trial: &Trial| {
        trial.objective.map_or("–".to_owned(), |score| format!("{:.1}", 100.0 * score.value))
    };
    let mut text = format!(
        "# A merge-search run\n\n`manifest.json` says how it was made (command, seed, search space), `best.yaml` is the \
         winner as a mergekit recipe, `front.parquet` the Pareto front. Rows of `trials/` and `items/` join by `trial`, \
         `split` and `rung`; the winner's row on holdout is named `winner`.\n\nThe {aggregate} of the tasks' scores, ×100:\n\n| | selection | holdout |\n|---|---|---|\n",
    );
    for baseline in baselines {
        let (selection, holdout) = (baseline.on(Split::Selection), baseline.on(Split::Holdout));
        text.push_str(&format!(
            "| {} | {} | {} |\n",
            baseline.name,
            shown(selection),
            shown(holdout)
        ));
    }
    text + &format!(
        "| winner (trial {}) | {} | {} |\n",
        winner.trial,
        shown(winner),
        shown(holdout)
    )
}

/// Better on selection; of equals the earlier trial (so a baseline before a candidate).
fn by_objective(a: &&Trial, b: &&Trial) -> std::cmp::Ordering {
    let value = |trial: &Trial| trial.objective.map_or(f64::NEG_INFINITY, |score| score.value);
    value(a).total_cmp(&value(b)).then(b.trial.cmp(&a.trial))
}

/// The best observed candidates, and the optimizer's own recommendation with the number after the last candidate's.
fn finalists(session: &Session<'_>, baselines: u64, mean: Option<Genotype>) -> Vec<Job> {
    let archive = session.archive();
    let job = |trial, generation, split, genotype: &Genotype| Job {
        trial,
        name: None,
        generation,
        kind: TrialKind::Final,
        split,
        rung: 0,
        docs: None,
        recipe: session.decoder.decode(genotype),
        genotype: Some(genotype.clone()),
    };
    let mut jobs: Vec<Job> = archive
        .contenders()
        .iter()
        .map(|c| job(c.trial, c.generation, Split::Selection, &c.genotype))
        .collect();
    let new = |mean: &Genotype| archive.contenders().iter().all(|c| c.genotype != *mean);
    if let Some(mean) = mean.filter(|mean| archive.candidates() > 0 && new(mean)) {
        // Past every candidate, also those that a partly scored last generation left out.
        let (last, generation) = archive.last_candidate().unwrap_or((baselines, 0));
        let (trial, generation) = (last + 1, generation + 1);
        jobs.push(job(trial, generation, Split::Search, &mean));
        jobs.push(job(trial, generation, Split::Selection, &mean));
    }
    jobs
}

fn holdout_job(session: &Session<'_>, winner: &Trial) -> Result<Job, SearchError> {
    let recipe = match &winner.genotype {
        Some(genotype) => session.decoder.decode(genotype),
        None => Recipe::from_yaml(&winner.recipe)
            .map_err(|_| SearchError::ReplayDiffers { trial: winner.trial })?,
    };
    Ok(Job {
        trial: winner.trial,
        name: Some("winner".to_owned()),
        generation: winner.generation,
        kind: TrialKind::Final,
        split: Split::Holdout,
        rung: 0,
        docs: None,
        recipe,
        genotype: winner.genotype.clone(),
    })
}

fn report(
    session: &Session<'_>,
    baselines: &[Baseline],
    winner: &Trial,
    holdout: &Trial,
    seed: Seed,
) -> Report {
    let standings: Vec<Standing> = baselines
        .iter()
        .map(|baseline| Standing {
            trial: baseline.trials[0].trial,
            name: baseline.name.clone(),
            recipe: baseline.trials[0].recipe.clone(),
            objectives: Split::ALL.map(|split| baseline.on(split).objective),
        })
        .collect();
    let against = |baseline: &Baseline| compare(&session.aggregate, baseline, holdout, seed);
    let is_uniform = |baseline: &&Baseline| baseline.name == "uniform";
    let best_parent = baselines
        .iter()
        .filter(|baseline| !is_uniform(baseline))
        .max_by(|a, b| by_objective(&a.on(Split::Selection), &b.on(Split::Selection)));
    let uniform = baselines.iter().find(is_uniform);
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
        nothing_better: (winner.trial as usize) < baselines.len(),
        candidates: archive.candidates(),
        infeasible: archive.infeasible(),
        against_best_parent: best_parent.and_then(against),
        against_uniform: uniform.and_then(against),
        other_metrics: other_metrics(
            session,
            [best_parent, uniform, baselines.first()].into_iter().flatten(),
            holdout,
        ),
        elapsed: session.clock.elapsed(),
        baselines: standings,
    }
}

fn compare(
    aggregate: &Aggregate,
    baseline: &Baseline,
    holdout: &Trial,
    seed: Seed,
) -> Option<Comparison> {
    let (ours, theirs) =
        (holdout.outcome.evaluation()?, baseline.on(Split::Holdout).outcome.evaluation()?);
    let paired = paired_difference(aggregate, ours, theirs, seed, RESAMPLES).ok()?;
    Some(Comparison {
        against: baseline.name.clone(),
        difference: paired.difference,
        low: paired.low,
        high: paired.high,
    })
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
