//! The run folder's README: what it is and what was found.

use super::Origin;
use crate::outcome::Estimate;
use crate::record::FrontRow;
use crate::search::event::{Comparison, Report, Standing};
use crate::units::Split;

pub(super) fn readme(report: &Report) -> String {
    let mut text = format!(
        "# A merge-search run\n\n`manifest.json` says how it was made (command, seed, search space), `best.yaml` is the \
         winner as a recipe (mergekit's, but for routers and prompts, which mergekit leaves out without a word), `front.parquet` the Pareto front with the baselines. Rows of `trials/` and `items/` join by `trial`, \
         `split` and `rung`; the winner's row on holdout is named `winner`.\n\nThe {} of the tasks' scores, ×100, with \
         95 % intervals:\n\n| | search | selection | holdout |\n|---|---|---|---|\n",
        report.aggregate
    );
    for standing in report.baselines.iter().chain([&report.winner]) {
        text.push_str(&row(standing));
    }
    let parts = [choice(report), comparisons(report), optimism(report), front(report)];
    let [choice, comparisons, optimism, front] = parts;
    text + &format!("\n{choice}\n{comparisons}{optimism}{front}")
}

fn row(standing: &Standing) -> String {
    let cells = Split::ALL.map(|split| standing.on(split).map_or("–".to_owned(), shown));
    format!("| {} (trial {}) | {} |\n", standing.name, standing.trial, cells.join(" | "))
}

fn shown(score: Estimate) -> String {
    let [value, low, high] = [score.value, score.low, score.high].map(|share| 100.0 * share);
    format!("{value:.1} [{low:.1}, {high:.1}]")
}

fn choice(report: &Report) -> String {
    let finals = &report.finals;
    let from = match finals.winner_from {
        Origin::Baseline => "a baseline: the search found nothing better",
        Origin::Recommended => "what the optimizer recommends at its end",
        Origin::Observed => "one of the candidates with the best scores on search",
    };
    let alike = match finals.indistinguishable {
        Some(others) => format!("{others} of the other finalists cannot be told from it there, "),
        None => String::new(),
    };
    format!(
        "The winner is {from}. It was chosen on the selection documents, from {} finalists and {} baselines; {}{} were clearly worse early on and dropped out, which saved {} of \
         {} documents.\n",
        finals.finalists,
        report.baselines.len(),
        alike,
        finals.dropped,
        finals.documents_saved,
        finals.documents + finals.documents_saved
    )
}

fn comparisons(report: &Report) -> String {
    let lines: String = report.shown_comparisons().into_iter().map(line).collect();
    if lines.is_empty() {
        return lines;
    }
    format!(
        "On holdout, which chose nothing, the same documents for both (p-values adjusted for {} comparisons):\n\n{lines}\n",
        report.comparisons
    )
}

fn line(comparison: &Comparison) -> String {
    let [difference, low, high] =
        [comparison.difference, comparison.low, comparison.high].map(|share| 100.0 * share);
    format!(
        "- winner − {}: {difference:+.1} [{low:+.1}, {high:+.1}], p = {:.4}\n",
        comparison.against, comparison.adjusted_p_value
    )
}

fn optimism(report: &Report) -> String {
    let gap = report.winner.gap().map(|gap| {
        format!("The winner's score on search is {:+.1} against holdout. ", 100.0 * gap)
    });
    let claim = report.best_observed.as_ref().map(|best| {
        format!(
            "The best score seen on search, {:.1} (trial {}), is what a search without selection would have claimed.",
            100.0 * best.search.value,
            best.trial
        )
    });
    let text: String = [gap, claim].into_iter().flatten().collect();
    if text.is_empty() { text } else { format!("{}\n", text.trim_end()) }
}

/// Nothing where times were not measured.
fn front(report: &Report) -> String {
    let rows: String = report.measured_front().map(front_row).collect();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "\nAccuracy against time (the base model's = 1, measured in turns with it; the front and, below it, the baselines):\n\n\
         | | selection | holdout | time |\n|---|---|---|---|\n{rows}"
    )
}

fn front_row(row: &FrontRow) -> String {
    let name = row.name.as_ref().map_or(String::new(), |name| format!("{name}, "));
    let scores = [Split::Selection, Split::Holdout];
    let cells = scores.map(|split| row.on(split).map_or("–".to_owned(), shown));
    let Estimate { value, low, high } = row.time();
    format!(
        "| {name}trial {} | {} | {value:.3} [{low:.3}, {high:.3}] |\n",
        row.trial,
        cells.join(" | ")
    )
}
