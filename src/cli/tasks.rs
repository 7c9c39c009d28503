//! The tasks that a command names: read, told about, and guarded.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use merge_search::evaluate::InfeasibleMetric;
use merge_search::task::{ForbiddenTexts, Loader, Task, TaskError};
use merge_search::units::Split;

use super::workbench::hub;
use super::{Failure, tell};

/// Documents that must not be searched on.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct GuardArgs {
    /// Refuse to search on documents that overlap this file (CSV, JSON lines or parquet; every text in it counts), such as
    /// the competition's test.csv; may be given several times
    #[arg(long, value_name = "FILE")]
    pub forbid_overlap: Vec<PathBuf>,
}

/// Overlapping documents that are named one by one.
const SHOWN: usize = 5;

/// Reads tasks, and tells what is odd about them.
pub fn load<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<Vec<Task>, Failure> {
    let hub = hub();
    let loader = Loader { hub: Some(&hub) };
    let mut tasks = Vec::new();
    for path in paths {
        tasks.extend(loader.load(path).map_err(|error| failure(&error))?);
    }
    for task in &tasks {
        task.notes.iter().for_each(|note| tell(&format!("note: task {}: {note}", task.name)));
        tell_unanswered(task);
        task.warnings.iter().for_each(|odd| tell(&format!("warning: task {}: {odd}", task.name)));
    }
    Ok(tasks)
}

/// Reads a file that is only answered.
pub fn questions(file: &Path) -> Result<Vec<Task>, Failure> {
    Loader { hub: None }.questions(file).map_err(|error| failure(&error))
}

/// The warning that a metric cannot be had.
pub fn left_out(metric: &InfeasibleMetric) -> String {
    let InfeasibleMetric { task, metric, reason } = metric;
    format!("warning: task {task}: {metric} is left out: {reason}")
}

/// Some right answers are known and some are not: such a task has no score.
fn tell_unanswered(task: &Task) {
    let docs = || Split::ALL.into_iter().flat_map(|split| task.docs(split));
    let unknown = docs().filter(|doc| !doc.answer.is_known()).count();
    if let (Some(doc), true) = (task.unanswered(), unknown < docs().count()) {
        let (name, place) = (&task.name, &doc.place);
        tell(&format!(
            "warning: task {name}: {place}: the right answer is not given ({unknown} such documents)"
        ));
    }
}

fn failure(error: &TaskError) -> Failure {
    let failure = Failure::from_error(error);
    match error.remedy() {
        Some(remedy) => failure.remedy(remedy),
        None => failure,
    }
}

/// Refuses what nobody should search on.
pub fn guard(tasks: &[Task], guard: &GuardArgs) -> Result<(), Failure> {
    tasks.iter().try_for_each(refuse_test_set)?;
    guard.forbid_overlap.iter().try_for_each(|file| refuse_overlap(tasks, file))
}

fn refuse_test_set(task: &Task) -> Result<(), Failure> {
    let Some(benchmark) = &task.origin.benchmark_test else { return Ok(()) };
    let split = task.origin.split.as_deref().unwrap_or_default();
    Err(Failure::input(format!(
        "task {}: its documents are the split `{split}`, on which {benchmark} is scored; a search on it would only fool itself",
        task.name
    ))
    .remedy("name another split of the dataset in the task file (`splits.from`); `eval` may score this one"))
}

fn refuse_overlap(tasks: &[Task], file: &Path) -> Result<(), Failure> {
    let forbidden = ForbiddenTexts::read(file).map_err(|error| Failure::from_error(&error))?;
    let mut said = Vec::new();
    for task in tasks {
        for split in Split::ALL {
            let overlaps = forbidden.overlaps(task, split);
            if overlaps.is_empty() {
                continue;
            }
            let (count, all) = (overlaps.len(), task.docs(split).len());
            said.push(format!("task {}, {split}: {count} of {all} documents", task.name));
            said.extend(overlaps.iter().take(SHOWN).map(|overlap| format!("  {overlap}")));
        }
    }
    match said.is_empty() {
        true => Ok(()),
        false => Err(Failure::input(format!(
            "documents overlap {}, which --forbid-overlap forbids:\n{}",
            file.display(),
            said.join("\n")
        ))
        .remedy("take them out of the task's source, or search on another dataset")),
    }
}
