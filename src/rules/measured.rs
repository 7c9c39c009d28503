//! What a dry run of the kit showed, as `export --dry-run-report` wrote it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Finding, Verdict};
use crate::submission::competition::dry_run::{DRY_RUN_FORMAT, DryRunReport};

/// What of a report counts here.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Name of the report's file.
    pub file: String,
    /// Estimated from the rows that were run, for all files of the evaluation, loading and merging once.
    pub minutes: f64,
    /// How many were run.
    pub rows: u64,
    /// The accelerator's name, or else the processor's.
    pub machine: String,
    /// Digest of the class's file that was run.
    pub class_sha256: String,
    /// What was wrong with the predictions.
    pub problems: Vec<String>,
}

/// Why a report cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MeasuredError {
    /// The file cannot be read.
    #[error("report of a dry run {}: cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not such a report.
    #[error("{}: no report of a dry run; `export --format competition --dry-run-kit KIT_DIR --dry-run-report FILE` writes them", file.display())]
    NotAReport {
        /// The file.
        file: PathBuf,
        /// What is missing.
        #[source]
        source: serde_json::Error,
    },
    /// Of another version of the program.
    #[error("{}: format {found}; this program reads format {DRY_RUN_FORMAT}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// Its `format`.
        found: u32,
    },
    /// The run had rows of one kind only.
    #[error("{}: `estimates` is empty: the dry run had no rows of one of both kinds", file.display())]
    NoEstimate {
        /// The file.
        file: PathBuf,
    },
}

/// What every format of a report has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Measured {
    /// Reads a report.
    ///
    /// # Errors
    /// See [`MeasuredError`].
    pub fn read(file: &Path) -> Result<Measured, MeasuredError> {
        let path = || file.to_owned();
        let text =
            std::fs::read(file).map_err(|source| MeasuredError::Read { file: path(), source })?;
        let wrong = |source| MeasuredError::NotAReport { file: path(), source };
        let Head { format } = serde_json::from_slice(&text).map_err(wrong)?;
        if format != DRY_RUN_FORMAT {
            return Err(MeasuredError::Format { file: path(), found: format });
        }
        let report: DryRunReport = serde_json::from_slice(&text).map_err(wrong)?;
        if report.estimates.is_empty() {
            return Err(MeasuredError::NoEstimate { file: path() });
        }
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Measured {
            file: name.unwrap_or_default(),
            minutes: minutes(&report),
            rows: report.rows.multiple_choice.saturating_add(report.rows.generation) as u64,
            machine: report.machine.device,
            class_sha256: report.class_sha256,
            problems: report.problems,
        })
    }

    /// Whether the run did what it has to do, with the class of this submission (digest of its file).
    pub fn check(&self, class_sha256: Option<&str>) -> Finding {
        let finding =
            |verdict, evidence: String| Finding::new("dry_run", "dry run", verdict, evidence);
        if let Some(own) = class_sha256.filter(|own| *own != self.class_sha256) {
            let evidence = format!(
                "{} is of a class file with sha256 {}; this submission's has {own}",
                self.file, self.class_sha256
            );
            return finding(Verdict::Fail, evidence).remedy("repeat the dry run with this export");
        }
        let rows = self.rows;
        match self.problems.first() {
            None => {
                finding(Verdict::Pass, format!("{rows} rows without a problem ({})", self.file))
            }
            Some(first) => {
                let count = self.problems.len();
                let evidence =
                    format!("{count} problems in {rows} rows ({}); the first: {first}", self.file);
                finding(Verdict::Fail, evidence).remedy("mend what the report's `problems` name")
            }
        }
    }
}

/// Each set's time has what is apart from rows.
fn minutes(report: &DryRunReport) -> f64 {
    let all: f64 = report.estimates.iter().map(|whole| whole.seconds).sum();
    let again = report.estimates.len().saturating_sub(1) as f64 * report.seconds.apart_from_rows;
    (all - again) / 60.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{
        "format": 1, "written_by": "x", "class": "C", "class_sha256": "ab", "method": "c", "kit": "head",
        "rows": {"multiple_choice": 7, "generation": 5},
        "seconds": {"total": 30.0, "load_and_merge": 5.0, "multiple_choice_row": 1.0, "generation_row": 4.0,
            "apart_from_rows": 20.0},
        "peak_bytes": null, "device_bytes": null,
        "machine": {"device": "NVIDIA RTX A6000", "versions": {}},
        "estimates": [{"set": "a", "rows": {"multiple_choice": 500, "generation": 200}, "seconds": 1320.0},
            {"set": "b", "rows": {"multiple_choice": 457, "generation": 350}, "seconds": 1877.0}],
        "problems": []}"#;

    fn read(text: &str) -> Result<Measured, MeasuredError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dry.json");
        std::fs::write(&file, text).unwrap();
        Measured::read(&file)
    }

    /// 1320 + 1877 s, in each of which the same 20 s are counted.
    #[test]
    fn loading_and_merging_count_once() {
        let measured = read(REPORT).unwrap();
        assert!((measured.minutes - 3177.0 / 60.0).abs() < 1e-9);
        assert_eq!(measured.rows, 12);
        assert_eq!(measured.check(Some("ab")).verdict, Verdict::Pass);
        let other = measured.check(Some("cd"));
        assert_eq!(other.verdict, Verdict::Fail);
        assert!(other.evidence.contains("ab") && other.evidence.contains("cd"));
    }

    #[test]
    fn problems_of_a_dry_run_fail_and_other_files_are_refused() {
        let text = REPORT.replace("\"problems\": []", "\"problems\": [\"row 3: no index\"]");
        let finding = read(&text).unwrap().check(None);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.evidence.contains("row 3: no index"), "{}", finding.evidence);
        assert!(matches!(read("{}"), Err(MeasuredError::NotAReport { .. })));
        let newer = REPORT.replace("\"format\": 1", "\"format\": 2");
        assert!(matches!(read(&newer), Err(MeasuredError::Format { found: 2, .. })));
        let (head, tail) = REPORT.split_once("\"estimates\"").unwrap();
        let (_, end) = tail.split_once("],").unwrap();
        let none = format!("{head}\"estimates\": [],{end}");
        assert!(matches!(read(&none), Err(MeasuredError::NoEstimate { .. })));
    }
}
