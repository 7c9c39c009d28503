//! What is said about predictions beside those of another file.

use std::path::Path;

use merge_search::submission::predictions::{Comparison, Difference};
use serde_json::{Value, json};

use super::Failure;

/// Other arithmetic may choose otherwise where two choices are closer than this, in the scorer's unit.
const MARGIN: f64 = 1e-3;
/// Characters of a text that are shown from the first difference on.
const SHOWN: usize = 40;
/// Ids that are named one by one.
const IDS: usize = 5;

/// For people.
pub fn text(both: &Comparison, file: &Path) -> String {
    let (equal, rows, different) = (both.equal(), both.rows, both.differences.len());
    let texts = both.differences.iter().filter(|own| matches!(own, Difference::Text { .. }));
    let (texts, clear) = (texts.count(), both.clear(MARGIN));
    let choices = different - texts;
    let mut text = format!(
        "beside {}: {equal} of {rows} rows are equal, {choices} choices differ ({clear} of them by a margin above {MARGIN:e}), {texts} texts differ\n",
        file.display()
    );
    both.differences.iter().for_each(|own| text.push_str(&row(own)));
    if !both.same_order {
        text.push_str("the rows are in another order there\n");
    }
    text
}

fn row(difference: &Difference) -> String {
    match difference {
        Difference::Choice { id, ours, theirs, margin } => {
            format!("id {id}: choice {ours}, there {theirs:?}; margin {margin:.6}\n")
        }
        Difference::Text { id, ours, theirs, at } => {
            let shown = |text: &str| text.chars().skip(*at).take(SHOWN).collect::<String>();
            let (ours, theirs) = (shown(ours), shown(theirs));
            format!("id {id}: text from character {at} on {ours:?}, there {theirs:?}\n")
        }
    }
}

/// For machines.
pub fn json(both: &Comparison, file: &Path) -> Value {
    json!({
        "file": file,
        "rows": both.rows,
        "equal": both.equal(),
        "clearly_different": both.clear(MARGIN),
        "margin": MARGIN,
        "same_order": both.same_order,
        "missing": both.missing,
        "extra": both.extra,
        "differences": both.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

fn difference(difference: &Difference) -> Value {
    match difference {
        Difference::Choice { id, ours, theirs, margin } => json!({
            "id": id, "kind": "multiple_choice", "ours": ours, "theirs": theirs, "margin": margin
        }),
        Difference::Text { id, ours, theirs, at } => json!({
            "id": id, "kind": "generation", "ours": ours, "theirs": theirs, "character": at
        }),
    }
}

/// Refuses files whose ids are not the same.
pub fn require_same_ids(both: &Comparison, file: &Path) -> Result<(), Failure> {
    if both.ids_match() {
        return Ok(());
    }
    let (missing, extra) = (named(&both.missing), named(&both.extra));
    Err(Failure::input(format!(
        "--compare {}: its ids are not those of the data: missing {missing}; not asked or twice {extra}",
        file.display()
    ))
    .remedy("compare with predictions for the same --data"))
}

fn named(ids: &[String]) -> String {
    let first: Vec<&str> = ids.iter().take(IDS).map(String::as_str).collect();
    match (ids.len(), ids.len().saturating_sub(IDS)) {
        (0, _) => "none".to_owned(),
        (_, 0) => first.join(", "),
        (_, more) => format!("{} and {more} more", first.join(", ")),
    }
}
