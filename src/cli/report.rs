//! What a finished search prints.

use std::path::Path;

use merge_search::outcome::Estimate;
use merge_search::record::FrontRow;
use merge_search::search::{
    BestObserved, Comparison, Finals, Origin, OtherMetrics, Report, Standing,
};
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
    text.push_str(&front(report));
    if report.beyond_limits > 0 {
        text.push_str(&format!(
            "{} candidates passed a limit on time or memory and could not win\n",
            report.beyond_limits
        ));
    }
    text.push_str(&format!(
        "\n{} candidates ({} infeasible) in {:.0} s. Everything is in {folder}\n",
        report.candidates, report.infeasible, report.elapsed.0
    ));
    text.push_str(&format!("  look:   merge-search analyze {folder}\n"));
    text.push_str(&format!("  ship:   merge-search export {folder} -o merged\n"));
    text
}

/// Nothing where times were not measured.
fn front(report: &Report) -> String {
    let mut rows = report.measured_front().map(front_row).peekable();
    if rows.peek().is_none() {
        return String::new();
    }
    let heads = format!("{:<16} {:>20} {:>20} {:>22}\n", "", "selection", "holdout", "time");
    let title = "accuracy against time (base = 1; *: on the front; intervals that overlap count as equal times)\n";
    [title, &heads].into_iter().map(str::to_owned).chain(rows).collect()
}

fn front_row(row: &FrontRow) -> String {
    let mark = if row.member { "*" } else { " " };
    let name = row.name.clone().unwrap_or_else(|| format!("trial {}", row.trial));
    let Estimate { value, low, high } = row.time();
    let time = format!("{value:.3} [{low:.3}, {high:.3}]");
    let [selection, holdout] = [Split::Selection, Split::Holdout].map(|split| cell(row.on(split)));
    format!("{mark} {name:<14} {selection:>20} {holdout:>20} {time:>22}\n")
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
    text.push_str(&chosen(&report.finals, report.baselines.len()));
    let shown = report.shown_comparisons();
    if !shown.is_empty() {
        text.push_str("on holdout, which nothing was chosen by (same documents for both):\n");
    }
    for comparison in shown {
        text.push_str(&compare(comparison, report.comparisons));
    }
    text.push_str(&disagreements(&report.other_metrics));
    text.push_str(&optimism(report));
    text
}

/// How the winner was found among the finalists.
fn chosen(finals: &Finals, baselines: usize) -> String {
    let from = match finals.winner_from {
        Origin::Baseline => "a baseline",
        Origin::Recommended => "what the optimizer recommends at its end",
        Origin::Observed => "one of the candidates with the best search scores",
    };
    let mut text = format!(
        "winner: {from}, chosen on selection from {} finalists and {baselines} baselines\n",
        finals.finalists
    );
    if finals.dropped > 0 {
        text.push_str(&format!(
            "  {} finalists were clearly worse and stopped early, which saved {} of {} documents\n",
            finals.dropped,
            finals.documents_saved,
            finals.documents + finals.documents_saved
        ));
    }
    text.push_str(&match finals.indistinguishable {
        None => String::new(),
        Some(_) if finals.finalists < 2 => String::new(),
        Some(0) => "  every other finalist is clearly worse there\n".to_owned(),
        Some(others) => format!(
            "  {others} other finalists cannot be told from it there: the data allow for either being better\n"
        ),
    });
    text
}

/// What the scores on search would have made believe.
fn optimism(report: &Report) -> String {
    let gap = report.winner.gap().map(|gap| {
        let flattered = "what picking on seen documents flattered";
        format!(
            "search score minus holdout score of the winner: {:+.1} ({flattered})\n",
            100.0 * gap
        )
    });
    let claim = report.best_observed.as_ref().map(|best| {
        format!(
            "best observed on search would have claimed {:.1} (trial {})\n",
            100.0 * best.search.value,
            best.trial
        )
    });
    [gap, claim].into_iter().flatten().collect()
}

/// One line; `comparisons` is the number that the p-value is adjusted for.
fn compare(comparison: &Comparison, comparisons: usize) -> String {
    let verdict = match (comparison.significant, comparison.difference > 0.0) {
        (true, true) => "better",
        (true, false) => "worse",
        (false, _) => "could be chance",
    };
    format!(
        "  winner − {}: {:+.1} [{:+.1}, {:+.1}], {} for {comparisons} comparisons: {verdict}\n",
        comparison.against,
        100.0 * comparison.difference,
        100.0 * comparison.low,
        100.0 * comparison.high,
        p_value(comparison.adjusted_p_value)
    )
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// Nothing where all metrics agree.
fn disagreements(all: &[OtherMetrics]) -> String {
    let opposed = all.iter().flat_map(|against| {
        let metrics = against.metrics.iter().filter(|metric| !metric.agrees);
        metrics.map(|metric| metric.sentence("the winner", &against.against))
    });
    opposed.map(|sentence| format!("NOTE: metrics disagree {sentence}\n")).collect()
}

/// The keys stay. Scores and differences are shares of 1, of which people are shown percentages.
///
/// - `winner` and each of `baselines`: `trial`, `name`, and `{value, low, high}` (95 %) on `search`, `selection`,
///   `holdout`; `null` where there is no score.
/// - `gap`: search minus holdout score of the winner.
/// - `finals`: [`Finals`], with `winner_from` one of `baseline`, `recommended`, `observed`.
/// - `best_observed`: `trial` and `search`, what the best search score would have claimed.
/// - `front`: members and baselines by ascending time; `timing` is null where it was not measured.
/// - `against_best_parent`, `against_base`, `against_uniform`: [`Comparison`] on holdout; `null` where that one is the
///   winner. `comparisons`: how many the adjusted p-values are adjusted for. In `tasks` the winner is first.
fn to_json(report: &Report, folder: &Path) -> Value {
    json!({
        "run": folder.display().to_string(),
        "objective": report.aggregate.to_string(),
        "winner": standing(&report.winner),
        "baselines": report.baselines.iter().map(standing).collect::<Vec<_>>(),
        "nothing_better": report.nothing_better,
        "gap": report.winner.gap(),
        "finals": finals(&report.finals),
        "best_observed": report.best_observed.as_ref().map(best_observed),
        "comparisons": report.comparisons,
        "against_best_parent": report.against_best_parent.as_ref().map(comparison),
        "against_base": report.against_base.as_ref().map(comparison),
        "against_uniform": report.against_uniform.as_ref().map(comparison),
        "other_metrics": report.other_metrics.iter().map(other_metrics).collect::<Vec<_>>(),
        "front": report.front.iter().map(front_member).collect::<Vec<_>>(),
        "beyond_limits": report.beyond_limits,
        "candidates": report.candidates,
        "infeasible": report.infeasible,
        "elapsed_seconds": report.elapsed.0,
    })
}

fn standing(standing: &Standing) -> Value {
    let score = |split| standing.on(split).map(estimate);
    json!({
        "trial": standing.trial,
        "name": standing.name,
        "search": score(Split::Search),
        "selection": score(Split::Selection),
        "holdout": score(Split::Holdout),
    })
}

fn front_member(row: &FrontRow) -> Value {
    let score = |split| row.on(split).map(estimate);
    json!({
        "trial": row.trial,
        "name": row.name,
        "member": row.member,
        "search": score(Split::Search),
        "selection": score(Split::Selection),
        "holdout": score(Split::Holdout),
        "relative_time": estimate(row.time()),
        "timing": row.timing,
        "cost": row.cost,
    })
}

fn estimate(score: Estimate) -> Value {
    json!({ "value": score.value, "low": score.low, "high": score.high })
}

fn finals(finals: &Finals) -> Value {
    json!({
        "winner_from": finals.winner_from.as_str(),
        "finalists": finals.finalists,
        "recommended": finals.recommended,
        "dropped": finals.dropped,
        "indistinguishable": finals.indistinguishable,
        "documents": finals.documents,
        "documents_saved": finals.documents_saved,
    })
}

fn best_observed(best: &BestObserved) -> Value {
    json!({ "trial": best.trial, "search": estimate(best.search) })
}

fn comparison(comparison: &Comparison) -> Value {
    json!({
        "against": comparison.against,
        "difference": comparison.difference,
        "low": comparison.low,
        "high": comparison.high,
        "p_value": comparison.p_value,
        "adjusted_p_value": comparison.adjusted_p_value,
        "significant": comparison.significant,
        "tasks": comparison.tasks,
    })
}

/// The winner is first, the baseline second.
fn other_metrics(other: &OtherMetrics) -> Value {
    json!({ "against": other.against, "metrics": other.metrics })
}
