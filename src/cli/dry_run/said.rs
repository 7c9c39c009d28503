//! The outcome of a dry run for people.

use merge_search::submission::competition::dry_run::{DryRunReport, Estimate, LIMIT_SECONDS};
use merge_search::units::Bytes;

use super::rows_in_words;

/// A few lines.
pub fn summary(report: &DryRunReport) -> String {
    let seconds = &report.seconds;
    let machine = match report.machine.device.as_str() {
        "" => "this machine",
        device => device,
    };
    let rows = rows_in_words(report.rows);
    let mut text = format!(
        "dry run in the kit ({}): {rows}: {:.1} s on {machine}; {}\n",
        report.kit.as_str(),
        seconds.total,
        match report.problems.len() {
            0 => "the predictions are valid".to_owned(),
            count => format!("{count} problems in the predictions"),
        }
    );
    let versions: Vec<String> =
        report.machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    if !versions.is_empty() {
        text += &format!("  with {}\n", versions.join(", "));
    }
    let row = |row: Option<f64>| row.map_or_else(|| "–".to_owned(), |row| format!("{row:.3} s"));
    text += &format!(
        "  load and merge {:.1} s, a row with choices {}, with a text {}; imports and saving {:.1} s\n",
        seconds.load_and_merge,
        row(seconds.multiple_choice_row),
        row(seconds.generation_row),
        (seconds.apart_from_rows - seconds.load_and_merge).max(0.0)
    );
    text += &memory(report);
    report.estimates.iter().fold(text, |text, estimate| text + &line(estimate))
}

fn memory(report: &DryRunReport) -> String {
    let Some(peak) = report.peak_bytes else { return String::new() };
    let device = report.device_bytes.map(|bytes| format!(", on the accelerator {}", Bytes(bytes)));
    format!("  memory {}{}\n", Bytes(peak), device.unwrap_or_default())
}

fn line(estimate: &Estimate) -> String {
    let minutes = |seconds: f64| seconds / 60.0;
    let share = 100.0 * estimate.seconds / LIMIT_SECONDS;
    format!(
        "  {}, {}: about {:.1} minutes here, {share:.0} % of the hour allowed\n",
        estimate.set,
        rows_in_words(estimate.rows),
        minutes(estimate.seconds)
    )
}
