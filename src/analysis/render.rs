//! A summary as text for a terminal of about 100 columns; accuracies in per cent.

use std::time::Duration;

use super::render_front;
use super::text_table::{sparkline, table, thinned};
use super::{Convergence, Header, OtherScore, Standing, Summary};
use crate::record::Estimate;
use crate::units::{Accuracy, Split};

const SPARKLINE_WIDTH: usize = 60;
const GENERATION_ROWS: usize = 20;
pub(super) const NONE: &str = "-";

pub(super) fn render(summary: &Summary) -> String {
    let sections = [
        header(&summary.header),
        standings(&summary.standings, &summary.header.objective),
        accuracies(&summary.standings, &summary.header),
        chosen(summary),
        comparisons(summary),
        tasks(summary),
        disagreements(summary),
        render_front::front(&summary.front),
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
        ("objective", header.objective.clone()),
        ("trials", format!("{}, {} of them infeasible", header.trials, header.infeasible)),
        ("documents", format!("{} scored for them", header.items)),
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

fn standings(standings: &[Standing], objective: &str) -> Option<String> {
    let rows: Vec<Vec<String>> = (standings.iter())
        .map(|standing| {
            let shown = |split| interval(standing.score(split).map(|score| score.objective));
            let gap = standing.gap().map_or(NONE.to_owned(), points);
            let scores = Split::ALL.map(shown);
            [vec![standing.name.clone(), standing.trial.to_string()], scores.into(), vec![gap]]
                .concat()
        })
        .collect();
    let heads = ["", "trial", "search", "selection", "holdout", "search-holdout"];
    section(
        &format!("{} of the tasks' scores, per cent [95 % interval]", capital(objective)),
        &heads,
        &rows,
    )
}

/// On the split that says most: holdout once there is one.
fn accuracies(standings: &[Standing], header: &Header) -> Option<String> {
    let scored = |split: &Split| standings.iter().any(|s| s.score(*split).is_some());
    let split = Split::ALL.into_iter().rev().find(scored)?;
    let judged: Vec<String> = header
        .tasks
        .iter()
        .zip(&header.metrics)
        .map(|(t, metric)| format!("{t} {metric}"))
        .collect();
    // Any standing has the columns of all; one whose tokenizer a metric does not fit has fewer.
    let others = standings.iter().filter_map(|standing| Some(&standing.score(split)?.others));
    let others = others.max_by_key(|others| others.len()).cloned().unwrap_or_default();
    let other_heads: Vec<String> =
        others.iter().map(|other| format!("({} {})", other.task, other.metric)).collect();
    let heads: Vec<&str> = ([""].into_iter())
        .chain(judged.iter().chain(&other_heads).map(String::as_str))
        .chain(["items"])
        .collect();
    let rows: Vec<Vec<String>> = (standings.iter())
        .filter_map(|standing| {
            let score = standing.score(split)?;
            let judged = score.accuracies.iter().map(|accuracy| percent(*accuracy));
            let other = |column: &OtherScore| {
                let same = |o: &&OtherScore| (&o.task, &o.metric) == (&column.task, &column.metric);
                score.others.iter().find(same).map_or(NONE.to_owned(), |other| percent(other.score))
            };
            let cells = judged.chain(others.iter().map(other)).chain([score.items.to_string()]);
            Some([standing.name.clone()].into_iter().chain(cells).collect())
        })
        .collect();
    let brackets = if others.is_empty() { "" } else { " (in brackets: not judged)" };
    section(&format!("Score per task on {split}, per cent{brackets}"), &heads, &rows)
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
                format!("{:.4}", comparison.adjusted_p_value),
                if comparison.significant { "" } else { "could be chance" }.to_owned(),
            ]
        })
        .collect();
    let heads = ["", "difference", "95 % interval", "p", "p adjusted", ""];
    let title = format!("Paired difference on holdout, points (p adjusted for {})", rows.len());
    section(&title, &heads, &rows)
}

/// Tasks whose documents are right or wrong.
fn tasks(summary: &Summary) -> Option<String> {
    let rows: Vec<Vec<String>> = (summary.comparisons.iter())
        .flat_map(|comparison| comparison.tasks.iter().map(|task| (&comparison.baseline, task)))
        .map(|(baseline, task)| {
            vec![
                format!("winner - {baseline}"),
                task.task.clone(),
                task.only_first.to_string(),
                task.only_second.to_string(),
                format!("{:.4}", task.p_value),
            ]
        })
        .collect();
    let heads = ["", "task", "only winner", "only other", "p"];
    section("Documents on holdout that only one of the two got right (McNemar)", &heads, &rows)
}

/// How the winner was chosen, and what the best score on search would have claimed.
fn chosen(summary: &Summary) -> Option<String> {
    let finals = summary.finals.as_ref()?;
    let alike = match finals.indistinguishable {
        Some(others) => format!("; {others} others cannot be told from the winner"),
        None => String::new(),
    };
    let mut text = format!(
        "Finalists on selection\n  {} raced, {} dropped out early{alike}\n  {} documents scored, {} saved\n",
        finals.finalists, finals.dropped, finals.documents, finals.documents_saved
    );
    if let Some(best) = finals.best_observed {
        let claimed = percent(best.search.value);
        text.push_str(&format!(
            "  best observed on search would have claimed {claimed} (trial {})\n",
            best.trial
        ));
    }
    Some(text)
}

/// Nothing where all metrics agree.
fn disagreements(summary: &Summary) -> Option<String> {
    let lines: String = (summary.other_metrics.iter())
        .flat_map(|against| {
            let opposed = against.metrics.iter().filter(|metric| !metric.agrees);
            opposed.map(|metric| metric.sentence("the winner", &against.baseline))
        })
        .map(|sentence| format!("  {sentence}\n"))
        .collect();
    (!lines.is_empty())
        .then(|| format!("Metrics that disagree about the better model, on holdout\n{lines}"))
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
                scores.items.to_string(),
            ]
        })
        .collect::<Vec<_>>();
    let heads = ["generation", "median", "best", "feasible", "infeasible", "documents"];
    let generations = section("Generations on search, per cent", &heads, &generations)?;
    Some(format!("{best}  {line}\n\n{generations}"))
}

/// Nothing when there are no rows.
pub(super) fn section(title: &str, heads: &[&str], rows: &[Vec<String>]) -> Option<String> {
    (!rows.is_empty()).then(|| format!("{title}\n{}", table(heads, rows)))
}

pub(super) fn interval(score: Option<Estimate>) -> String {
    match score {
        None => NONE.to_owned(),
        Some(score) => {
            let [value, low, high] = [score.value, score.low, score.high].map(percent);
            format!("{value} [{low}, {high}]")
        }
    }
}

/// With a capital letter in front.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1}", Accuracy(share))
}

fn points(difference: f64) -> String {
    format!("{:+.1}", difference * 100.0)
}
