//! `--dry-run-kit KIT_DIR`: the exported class in a copy of the user's checkout of the starter kit, on a few rows.

mod checkout;
mod process;
mod said;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args as ClapArgs;
use merge_search::record::sha256;
use merge_search::submission::competition::dry_run::{
    DRY_RUN_FORMAT, DryRunReport, KitRows, Measured, RowCounts, Times, check_json_lines, estimates,
};
use merge_search::submission::competition::kit::Generation;
use merge_search::submission::predictions::{AskedRow, asked_rows, faults};
use merge_search::submission::write_new;

use super::{Failure, scored, tasks};
use checkout::Checkout;

pub use said::summary;

/// What is run, and with what.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct DryRunArgs {
    /// Then run a copy of this checkout of the starter kit with the class on a few rows, check what it writes, and time it
    #[arg(long, value_name = "KIT_DIR")]
    dry_run_kit: Option<PathBuf>,
    /// Rows of the dry run, of both kinds [default: 12]
    #[arg(long, value_name = "N", requires = "dry_run_kit", value_parser = clap::value_parser!(u32).range(1..))]
    dry_run_rows: Option<u32>,
    /// Where the rows are from: a CSV file of the kit's [default: data/test.csv of the kit]
    #[arg(long, value_name = "FILE", requires = "dry_run_kit")]
    data: Option<PathBuf>,
    /// Python with what the kit needs [default: python3]
    #[arg(long, value_name = "PATH", requires = "dry_run_kit")]
    python: Option<PathBuf>,
    /// Write the outcome to this JSON file, which must not exist and `check` reads
    #[arg(long, value_name = "FILE", requires = "dry_run_kit")]
    dry_run_report: Option<PathBuf>,
}

/// Enough to see both kinds several times.
const ROWS: usize = 12;

/// Where a kit has the rows that are judged.
const TEST_ROWS: &str = "data/test.csv";

impl DryRunArgs {
    /// The option, if it was given; the others need it.
    pub fn given(&self) -> Option<&'static str> {
        self.dry_run_kit.is_some().then_some("--dry-run-kit")
    }
}

/// A dry run that can begin.
pub struct Prepared {
    checkout: Checkout,
    rows: KitRows,
    python: PathBuf,
    report: Option<PathBuf>,
}

/// What is tried.
pub struct Subject<'a> {
    /// Name of the class.
    pub class: &'a str,
    /// What it is called on the kit's command line.
    pub method: &'a str,
    /// The class's file.
    pub code: &'a str,
    /// The export.
    pub folder: &'a Path,
}

/// Looks at kit and rows, before the work of an export.
pub fn prepare(args: &DryRunArgs) -> Result<Option<Prepared>, Failure> {
    let Some(kit) = &args.dry_run_kit else { return Ok(None) };
    if let Some(report) = &args.dry_run_report {
        scored::require_writable("--dry-run-report", report)?;
    }
    let checkout = Checkout::open(kit)?;
    let data = args.data.clone().unwrap_or_else(|| kit.join(TEST_ROWS));
    let unusable = |failure: Failure| {
        let failure = failure.at("the rows of the dry run");
        failure.remedy("name a CSV file of the kit's with --data")
    };
    let rows = KitRows::read(&data).map_err(|error| unusable(Failure::from_error(&error)))?;
    if checkout.generation == Generation::Head {
        // What is wrong with a row is said of this file, before its copy is read.
        asked(&data).map_err(unusable)?;
    }
    let count = args.dry_run_rows.map_or(ROWS, |rows| rows as usize);
    // A bare name is looked for in PATH; anything else must hold in the folder where the kit runs too.
    let python = args.python.clone().unwrap_or_else(|| PathBuf::from("python3"));
    let python = match python.components().count() {
        1 => python,
        _ => std::path::absolute(&python).unwrap_or(python),
    };
    let rows = rows.sample(count);
    Ok(Some(Prepared { checkout, rows, python, report: args.dry_run_report.clone() }))
}

/// What predictions are held against.
fn asked(data: &Path) -> Result<Vec<AskedRow>, Failure> {
    asked_rows(&tasks::questions(data)?).map_err(|error| Failure::from_error(&error))
}

/// Runs the kit and looks at what it wrote.
pub fn run(prepared: &Prepared, subject: &Subject) -> Result<DryRunReport, Failure> {
    let copy = prepared.checkout.copy_with(subject)?;
    let given = Given::write(prepared, copy.path())?;
    let interrupts = process::catch_interrupts()?;
    let python = process::Python { program: &prepared.python, kit: copy.path(), interrupts };
    if prepared.checkout.generation == Generation::EntryPoint {
        python.run(&["llm_merging/setup.py", "-q", "egg_info"], "the kit's setup.py", subject)?;
    }
    let started = Instant::now();
    python.run(&given.arguments(&prepared.checkout, subject), "the kit's main.py", subject)?;
    let total = started.elapsed().as_secs_f64();
    let measured = given.measured()?;
    let report = DryRunReport {
        problems: given.problems(copy.path(), prepared, subject)?,
        ..report(prepared, subject, total, measured)
    };
    if let Some(path) = &prepared.report {
        write_report(path, &report)?;
    }
    Ok(report)
}

fn report(
    prepared: &Prepared,
    subject: &Subject,
    total: f64,
    measured: Option<Measured>,
) -> DryRunReport {
    let known = measured.is_some();
    let measured = measured.unwrap_or_default();
    let seconds = Times::new(total, &measured);
    DryRunReport {
        format: DRY_RUN_FORMAT,
        written_by: env!("CARGO_PKG_VERSION").to_owned(),
        class: subject.class.to_owned(),
        class_sha256: sha256(subject.code),
        method: subject.method.to_owned(),
        kit: prepared.checkout.generation,
        rows: prepared.rows.counts(),
        estimates: estimates(&seconds),
        seconds,
        peak_bytes: known.then_some(measured.peak_bytes),
        device_bytes: measured.device_bytes,
        machine: measured.machine,
        problems: Vec::new(),
    }
}

/// Wrong predictions are the user's to know by the exit code too.
pub fn require_valid(report: &DryRunReport) -> Result<(), Failure> {
    match report.problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::input(format!(
            "the kit wrote predictions that would not be accepted:\n  {}",
            report.problems.join("\n  ")
        ))),
    }
}

/// What the kit's process is given besides the kit.
struct Given {
    /// Beside the copy, which stays as it is.
    folder: PathBuf,
    /// Files of rows with their kind; at the head all rows are in one, and tell theirs themselves.
    files: Vec<(String, Option<bool>)>,
}

const DRIVER: &str = include_str!("driver.py");
const MEASURED: &str = "measured.json";
const PREDICTIONS: &str = "predictions";

impl Given {
    fn write(prepared: &Prepared, copy: &Path) -> Result<Given, Failure> {
        let folder = copy.join("dry-run");
        let unwritable = |error: std::io::Error| {
            Failure::input(format!("cannot write into {}: {error}", folder.display()))
        };
        std::fs::create_dir_all(folder.join(PREDICTIONS)).map_err(unwritable)?;
        std::fs::write(folder.join("driver.py"), DRIVER).map_err(unwritable)?;
        let mut files = Vec::new();
        match prepared.checkout.generation {
            Generation::Head => {
                let path = folder.join("test.csv");
                let written = prepared.rows.write_csv(&path);
                written.map_err(|error| unwritable(std::io::Error::other(error)))?;
                files.push(("test.csv".to_owned(), None));
            }
            Generation::EntryPoint => {
                for (name, choices) in [("choices.json", true), ("texts.json", false)] {
                    let rows = prepared.rows.of_kind(choices);
                    if !rows.rows.is_empty() {
                        std::fs::write(folder.join(name), rows.json_lines()).map_err(unwritable)?;
                        files.push((name.to_owned(), Some(choices)));
                    }
                }
            }
        }
        Ok(Given { folder, files })
    }

    fn arguments(&self, checkout: &Checkout, subject: &Subject) -> Vec<String> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let module = format!("llm_merging.merging.{}", subject.class);
        let mut all = vec![path("driver.py"), path(MEASURED), module, subject.class.to_owned()];
        all.extend(["llm_merging/main.py", "-m", subject.method].map(str::to_owned));
        all.push("--dataset_filepaths".to_owned());
        all.extend(self.files.iter().map(|(name, _)| path(name)));
        if checkout.generation == Generation::Head {
            all.extend(["--output_folder".to_owned(), path(PREDICTIONS)]);
        } else if checkout.takes_kinds {
            all.push("--eval_types".to_owned());
            let kinds = self.files.iter().map(|(_, choices)| match choices {
                Some(true) => "multiple_choice".to_owned(),
                _ => "generation".to_owned(),
            });
            all.extend(kinds);
        }
        all
    }

    /// What the driver wrote; nothing where another program took Python's place.
    fn measured(&self) -> Result<Option<Measured>, Failure> {
        let path = self.folder.join(MEASURED);
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        let measured = serde_json::from_str(&text);
        measured.map(Some).map_err(|error| Failure::from_error(&error).at("the driver's times"))
    }

    fn problems(
        &self,
        copy: &Path,
        prepared: &Prepared,
        subject: &Subject,
    ) -> Result<Vec<String>, Failure> {
        let own = copy.join("output").join(subject.method).join(PREDICTIONS);
        let mut problems = Vec::new();
        for (name, choices) in &self.files {
            problems.extend(match choices {
                None => {
                    let asked = asked(&self.folder.join(name))?;
                    faults(&asked, &self.folder.join(PREDICTIONS).join(name))
                }
                Some(choices) => {
                    let lines = own.join(name).with_extension("jsonl");
                    check_json_lines(&prepared.rows.of_kind(*choices), &lines)
                }
            });
        }
        Ok(problems)
    }
}

fn write_report(path: &Path, report: &DryRunReport) -> Result<(), Failure> {
    let json = serde_json::to_value(report).map_err(|error| Failure::from_error(&error))?;
    write_new(path, format!("{json:#}\n").as_bytes()).map_err(|error| {
        Failure::input(format!("cannot write the report {}: {error}", path.display()))
    })
}

/// In a sentence.
fn rows_in_words(rows: RowCounts) -> String {
    let RowCounts { multiple_choice, generation } = rows;
    format!("{multiple_choice} with choices, {generation} with texts")
}
