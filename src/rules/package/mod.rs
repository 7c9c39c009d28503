//! What is handed in: an exported folder against its own manifest and what the kit lets a submission change.

mod archive;
mod handed;

use serde::Deserialize;

use super::{Finding, Verdict};
use crate::submission::RECIPE_FILE;
use crate::submission::competition::kit::{SetupPlace, class_path};
use crate::submission::competition::{
    CARD_FILE, ENTRY_POINT_FOLDER, HEAD_FOLDER, MANIFEST_FILE, REPORT_FILE,
};
use crate::submission::predictions::{AskedRow, faults};

pub use handed::{Handed, HandedError};

/// `[submission]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmissionRules {
    /// Who says so.
    pub source: String,
    /// Of the report; a page of two columns has about 600.
    pub report_words: usize,
}

/// What a user adds to an exported folder.
const PREDICTIONS: &str = "submission.csv";
const ARCHIVE: &str = ".tar";

/// All but the code itself; `asked` are the rows of the file that was predicted, if known.
pub fn check(rules: &SubmissionRules, handed: &Handed, asked: Option<&[AskedRow]>) -> Vec<Finding> {
    let mut findings = vec![required(handed), others(handed), digests(handed), same_class(handed)];
    findings.push(report(rules, handed));
    findings.push(predictions(handed, asked));
    let archives = handed.files.keys().filter(|path| path.ends_with(ARCHIVE));
    findings.extend(archives.map(|path| archive::check(handed, path)));
    findings
}

/// Paths of the class's file, for the kit's head and for its generation of entry points.
pub fn class_files(handed: &Handed) -> [String; 2] {
    let class = class_path(&handed.manifest.class);
    [HEAD_FOLDER, ENTRY_POINT_FOLDER].map(|folder| format!("{folder}/{class}"))
}

/// Paths of `setup.py`, in the same order.
pub fn setup_files() -> [String; 2] {
    [
        format!("{HEAD_FOLDER}/{}", SetupPlace::Root.path()),
        format!("{ENTRY_POINT_FOLDER}/{}", SetupPlace::Package.path()),
    ]
}

fn required(handed: &Handed) -> Finding {
    let fixed = [CARD_FILE, REPORT_FILE, RECIPE_FILE, "changes.diff"].map(str::to_owned);
    let patch = format!("{HEAD_FOLDER}/registrations.patch");
    let all = fixed.into_iter().chain([patch]).chain(class_files(handed)).chain(setup_files());
    let listed = handed.manifest.files.keys().cloned();
    let mut missing: Vec<String> =
        all.chain(listed).filter(|path| !handed.files.contains_key(path)).collect();
    missing.sort();
    missing.dedup();
    let (verdict, evidence) = match missing.is_empty() {
        true => (Verdict::Pass, format!("{} files, none missing", handed.files.len())),
        false => (Verdict::Fail, format!("missing: {}", missing.join(", "))),
    };
    Finding::new("files", "folder", verdict, evidence).remedy("export again into a new folder")
}

/// Whatever lies where the kit lies is taken for a change of the kit.
fn others(handed: &Handed) -> Finding {
    let known = |path: &str| {
        path == MANIFEST_FILE
            || path == PREDICTIONS
            || path.ends_with(ARCHIVE)
            || handed.manifest.files.contains_key(path)
    };
    let extra: Vec<&str> =
        handed.files.keys().map(String::as_str).filter(|path| !known(path)).collect();
    let in_kit = |path: &&str| {
        [HEAD_FOLDER, ENTRY_POINT_FOLDER].iter().any(|kit| path.starts_with(&format!("{kit}/")))
    };
    let verdict = match (extra.is_empty(), extra.iter().any(in_kit)) {
        (true, _) => Verdict::Pass,
        (false, true) => Verdict::Fail,
        (false, false) => Verdict::Warn,
    };
    let evidence = match extra.is_empty() {
        true => "only what the kit lets a submission change (changes.diff)".to_owned(),
        false => format!("not of the export ({MANIFEST_FILE}): {}", extra.join(", ")),
    };
    Finding::new("files", "kit", verdict, evidence).remedy(
        "take them out: only the class, its registration and setup.py may differ from the kit",
    )
}

fn digests(handed: &Handed) -> Finding {
    let differs = |(path, expected): (&String, &String)| {
        let found = handed.files.get(path)?;
        (found != expected)
            .then(|| format!("{path}: sha256 {found}, {MANIFEST_FILE} has {expected}"))
    };
    let changed: Vec<String> = handed.manifest.files.iter().filter_map(differs).collect();
    // The report is to be completed by its authors, and the card may be.
    let texts = [CARD_FILE, REPORT_FILE];
    let is_text = |line: &&String| texts.iter().any(|text| line.starts_with(&format!("{text}:")));
    let (completed, broken): (Vec<&String>, Vec<&String>) = changed.iter().partition(is_text);
    let (verdict, evidence) = match broken.is_empty() {
        true => {
            let same = handed.manifest.files.len().saturating_sub(completed.len());
            let also =
                if completed.is_empty() { "" } else { "; texts that were completed since: " };
            let names = completed.iter().filter_map(|line| line.split(':').next());
            let names = names.collect::<Vec<_>>().join(", ");
            (Verdict::Pass, format!("{same} files as {MANIFEST_FILE} has them{also}{names}"))
        }
        false => (Verdict::Fail, changed.join("; ")),
    };
    Finding::new("digests", "folder", verdict, evidence)
        .remedy("export again; whatever you mean to change, change in the space or the run")
}

fn same_class(handed: &Handed) -> Finding {
    let [head, entry] = class_files(handed);
    let (a, b) = (handed.files.get(&head), handed.files.get(&entry));
    let verdict = if a.is_some() && a == b { Verdict::Pass } else { Verdict::Fail };
    let digest = |digest: Option<&String>| digest.map_or("missing", String::as_str).to_owned();
    let evidence = format!("{head}: {}; {entry}: {}", digest(a), digest(b));
    Finding::new("files", "class", verdict, evidence).remedy("export again into a new folder")
}

fn report(rules: &SubmissionRules, handed: &Handed) -> Finding {
    let text = handed.text(REPORT_FILE);
    let words = text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
    let open = text.matches("TODO").count();
    let verdict = match () {
        () if words == 0 || words > rules.report_words => Verdict::Fail,
        () if open > 0 => Verdict::Warn,
        () => Verdict::Pass,
    };
    let evidence = format!(
        "{REPORT_FILE}: {words} words, of {} on 4 pages; {open} places marked TODO",
        rules.report_words
    );
    let remedy = match words {
        0 => "export again, and complete the report",
        words if words > rules.report_words => "shorten the report to four pages",
        _ => "complete the report",
    };
    Finding::new("report", REPORT_FILE, verdict, evidence).remedy(remedy)
}

fn predictions(handed: &Handed, asked: Option<&[AskedRow]>) -> Finding {
    let finding = |verdict, evidence: String| Finding::new("csv", PREDICTIONS, verdict, evidence);
    if !handed.files.contains_key(PREDICTIONS) {
        return finding(Verdict::Unknown, format!("no {PREDICTIONS} in the folder")).remedy(
            format!("write it with `merge-search predict`, or with the kit (see {CARD_FILE})"),
        );
    }
    let Some(asked) = asked else {
        return finding(Verdict::Unknown, "there, and nothing given to compare it with".to_owned())
            .remedy("give --test-csv, the file that was predicted");
    };
    let faults = faults(asked, &handed.folder.join(PREDICTIONS));
    let count = asked.len();
    match faults.first() {
        None => finding(Verdict::Pass, format!("{count} rows: header, ids, order and indices")),
        Some(first) => {
            let evidence = format!("{} problems in {count} rows; the first: {first}", faults.len());
            finding(Verdict::Fail, evidence).remedy("predict again, and do not edit the file")
        }
    }
}

#[cfg(test)]
mod tests;
