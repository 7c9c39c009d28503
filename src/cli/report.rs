//! What a finished search prints.

use std::path::Path;

use merge_search::outcome::Estimate;
use merge_search::search::{Comparison, OtherMetrics, Report, Standing};
use merge_search::units::Split;
use serde_json::{Value, json};

use super::{Failure, print as write};

/// Prints the report: a table, or one JSON object.
pub fn print(report: &Report, folder: &Path, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return write(&format!("{:#}\n", to_json(report, folder)));
    }
    write(&to_text(report, folder))
}

fn to_text(report: &Report, folder: &Path) -> String {
    let folder = folder.display();
    let mut text = format!("{} ×100 with 95 % interval\n", report.aggregate);
    text.push_str(&format!("{:<16} {:>20} {:>20} {:>20}\n", "", "search", "selection", "holdout"));
    for standing in report.baselines.iter().chain([&report.winner]) {
        text.push_str(&row(standing));
    }
    text.push('\n');
    text.push_str(&verdict(report));
    text.push_str(&format!(
        "\n{} candidates ({} infeasible) in {:.0} s. Everything is in {folder}\n",
        report.candidates, report.infeasible, report.elapsed.0
    ));
    text.push_str(&format!("  look:   merge-search analyze {folder}\n"));
    text.push_str(&format!("  ship:   merge-search export {folder} -o merged\n"));
    text
}

fn row(standing: &Standing) -> String {
    let cells: Vec<String> =
        standing.objectives.iter().map(|score| format!("{:>20}", cell(*score))).collect();
    format!("{:<16} {}\n", standing.name, cells.join(" "))
}

fn cell(score: Option<Estimate>) -> String {
    score.map_or_else(
        || "–".to_owned(),
        |m| format!("{:.1} [{:.1}, {:.1}]", 100.0 * m.value, 100.0 * m.low, 100.0 * m.high),
    )
}

fn verdict(report: &Report) -> String {
    let mut text = String::new();
    if report.nothing_better {
        text.push_str(&format!(
            "NOTE: on the selection split no merge beat `{}`, so that is the winner.\n",
            report
                .baselines
                .get(report.winner.trial as usize)
                .map_or("a baseline", |b| b.name.as_str())
        ));
    }
    if report.winner.on(Split::Holdout).is_none() {
        text.push_str(
            "NOTE: the winner gave no finite score on the holdout split; do not ship it.\n",
        );
    }
    for comparison in [&report.against_best_parent, &report.against_uniform].into_iter().flatten() {
        text.push_str(&compare(comparison));
    }
    text.push_str(&disagreements(&report.other_metrics));
    if let Some(gap) = report.winner.gap() {
        text.push_str(&format!(
            "search score minus holdout score of the winner: {:+.1} (what picking on seen documents flattered)\n",
            100.0 * gap
        ));
    }
    text
}

fn compare(comparison: &Comparison) -> String {
    let certain =
        if comparison.low > 0.0 || comparison.high < 0.0 { "" } else { " – not distinguishable" };
    format!(
        "winner − {} on holdout: {:+.1} [{:+.1}, {:+.1}]{certain}\n",
        comparison.against,
        100.0 * comparison.difference,
        100.0 * comparison.low,
        100.0 * comparison.high
    )
}

/// Nothing where all metrics agree.
fn disagreements(all: &[OtherMetrics]) -> String {
    let opposed = all.iter().flat_map(|against| {
        let metrics = against.metrics.iter().filter(|metric| !metric.agrees);
        metrics.map(|metric| metric.sentence("the winner", &against.against))
    });
    opposed.map(|sentence| format!("NOTE: metrics disagree {sentence}\n")).collect()
}

fn to_json(report: &Report, folder: &Path) -> Value {
    json!({
        "run": folder.display().to_string(),
        "objective": report.aggregate.to_string(),
        "winner": standing(&report.winner),
        "baselines": report.baselines.iter().map(standing).collect::<Vec<_>>(),
        "nothing_better": report.nothing_better,
        "gap": report.winner.gap(),
        "against_best_parent": report.against_best_parent.as_ref().map(comparison),
        "against_uniform": report.against_uniform.as_ref().map(comparison),
        "other_metrics": report.other_metrics.iter().map(other_metrics).collect::<Vec<_>>(),
        "candidates": report.candidates,
        "infeasible": report.infeasible,
        "elapsed_seconds": report.elapsed.0,
    })
}

fn standing(standing: &Standing) -> Value {
    let score = |split| {
        standing.on(split).map(|s| json!({ "value": s.value, "low": s.low, "high": s.high }))
    };
    json!({
        "trial": standing.trial,
        "name": standing.name,
        "search": score(Split::Search),
        "selection": score(Split::Selection),
        "holdout": score(Split::Holdout),
    })
}

fn comparison(comparison: &Comparison) -> Value {
    json!({
        "against": comparison.against,
        "difference": comparison.difference,
        "low": comparison.low,
        "high": comparison.high,
    })
}

/// The winner is first, the baseline second.
fn other_metrics(other: &OtherMetrics) -> Value {
    json!({ "against": other.against, "metrics": other.metrics })
}
