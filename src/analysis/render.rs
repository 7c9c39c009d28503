//! A summary as text for a terminal of about 100 columns; accuracies in per cent.

use std::time::Duration;

use super::text_table::{sparkline, table, thinned};
use super::{Convergence, Header, Standing, Summary};
use crate::record::GeometricMean;
use crate::units::{Accuracy, Split};

const SPARKLINE_WIDTH: usize = 60;
const GENERATION_ROWS: usize = 20;
const NONE: &str = "-";

pub(super) fn render(summary: &Summary) -> String {
    let sections = [
        header(&summary.header),
        standings(&summary.standings),
        accuracies(&summary.standings, &summary.header.tasks),
        comparisons(summary),
        front(summary),
        convergence(&summary.convergence),
    ];
    let sections: Vec<String> = sections.into_iter().flatten().collect();
    sections.join("\n")
}

fn header(header: &Header) -> Option<String> {
    let optimizer = &header.optimizer;
    let sigma = (optimizer.sigma).map_or(String::new(), |sigma| format!(", sigma {sigma}"));
    let rows = [
        ("run", header.run.clone()),
        ("begun", format!("{} by merge-search {}", header.created_at, header.written_by)),
        ("command", header.command_line.join(" ")),
        ("seed", header.seed.0.to_string()),
        (
            "optimizer",
            format!(
                "{}, population {}{sigma}, workers {}",
                optimizer.kind, optimizer.population, optimizer.workers
            ),
        ),
        ("device", header.device.clone()),
        ("budget", budget(header)),
        ("tasks", header.tasks.join(", ")),
        ("trials", format!("{}, {} of them infeasible", header.trials, header.infeasible)),
    ];
    Some((rows.iter()).map(|(key, value)| format!("{key:<10}{value}\n")).collect())
}

fn budget(header: &Header) -> String {
    let limits = [
        header.budget.seconds.map(duration),
        header.budget.trials.map(|trials| format!("{trials} trials")),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    format!("{}; last trial after {}", limits.join(" or "), duration(header.elapsed.0))
}

fn duration(seconds: f64) -> String {
    match Duration::try_from_secs_f64(seconds.round()) {
        Ok(duration) => humantime::format_duration(duration).to_string(),
        Err(_) => format!("{seconds} s"),
    }
}

fn standings(standings: &[Standing]) -> Option<String> {
    let rows: Vec<Vec<String>> = (standings.iter())
        .map(|standing| {
            let mean = |split| interval(standing.score(split).map(|score| score.geometric_mean));
            let gap = standing.gap().map_or(NONE.to_owned(), points);
            let scores = Split::ALL.map(mean);
            [vec![standing.name.clone(), standing.trial.to_string()], scores.into(), vec![gap]]
                .concat()
        })
        .collect();
    let heads = ["", "trial", "search", "selection", "holdout", "search-holdout"];
    section("Geometric mean of the tasks' accuracies, per cent [95 % interval]", &heads, &rows)
}

/// On the split that says most: holdout once there is one.
fn accuracies(standings: &[Standing], tasks: &[String]) -> Option<String> {
    let scored = |split: &Split| standings.iter().any(|s| s.score(*split).is_some());
    let split = Split::ALL.into_iter().rev().find(scored)?;
    let heads: Vec<&str> =
        ([""].into_iter()).chain(tasks.iter().map(String::as_str)).chain(["items"]).collect();
    let rows: Vec<Vec<String>> = (standings.iter())
        .filter_map(|standing| {
            let score = standing.score(split)?;
            let accuracies = score.accuracies.iter().map(|accuracy| percent(*accuracy));
            let name = [standing.name.clone()];
            Some(name.into_iter().chain(accuracies).chain([score.items.to_string()]).collect())
        })
        .collect();
    section(&format!("Accuracy per task on {split}, per cent"), &heads, &rows)
}

fn comparisons(summary: &Summary) -> Option<String> {
    let rows: Vec<Vec<String>> = (summary.comparisons.iter())
        .map(|comparison| {
            let difference = comparison.difference;
            let range = format!("[{}, {}]", points(difference.low), points(difference.high));
            vec![
                format!("winner - {}", comparison.baseline),
                points(difference.difference),
                range,
                format!("{:.4}", difference.p_value),
            ]
        })
        .collect();
    let heads = ["", "difference", "95 % interval", "p"];
    section("Paired difference on holdout, points", &heads, &rows)
}

fn front(summary: &Summary) -> Option<String> {
    let rows: Vec<Vec<String>> = (summary.front.iter())
        .map(|point| {
            vec![
                point.trial.to_string(),
                point.name.clone().unwrap_or_default(),
                interval(point.geometric_mean),
                format!("{:.3}", point.pooled_time),
            ]
        })
        .collect();
    let heads = ["trial", "name", "search", "time (base = 1)"];
    section("Pareto front", &heads, &rows)
}

fn convergence(convergence: &Convergence) -> Option<String> {
    let best = (convergence.best_so_far.iter())
        .map(|best| vec![best.trials.to_string(), percent(best.best)])
        .collect::<Vec<_>>();
    let best = section("Best so far on search, per cent", &["trials", "best"], &best)?;
    let line = sparkline(&convergence.course, SPARKLINE_WIDTH);
    let generations = (thinned(&convergence.generations, GENERATION_ROWS).into_iter())
        .map(|scores| {
            let shown = |score: Option<f64>| score.map_or(NONE.to_owned(), percent);
            vec![
                scores.generation.to_string(),
                shown(scores.median),
                shown(scores.best),
                scores.feasible.to_string(),
                scores.infeasible.to_string(),
            ]
        })
        .collect::<Vec<_>>();
    let heads = ["generation", "median", "best", "feasible", "infeasible"];
    let generations = section("Generations on search, per cent", &heads, &generations)?;
    Some(format!("{best}  {line}\n\n{generations}"))
}

/// Nothing when there are no rows.
fn section(title: &str, heads: &[&str], rows: &[Vec<String>]) -> Option<String> {
    (!rows.is_empty()).then(|| format!("{title}\n{}", table(heads, rows)))
}

fn interval(mean: Option<GeometricMean>) -> String {
    match mean {
        None => NONE.to_owned(),
        Some(mean) => {
            let [value, low, high] = [mean.value, mean.low, mean.high].map(percent);
            format!("{value} [{low}, {high}]")
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}", Accuracy(share))
}

fn points(difference: f64) -> String {
    format!("{:+.1}", difference * 100.0)
}
