//! Whether weights and documents still are those that a run began with.

use merge_search::checkpoint::Checkpoint;
use merge_search::record::{CheckpointEntry, DocCounts, RunManifest, TaskEntry};
use merge_search::rules::open_data::source_of;
use merge_search::space::DocLimits;
use merge_search::task::Task;
use merge_search::units::Split;

use super::Failure;
use super::workbench::Workbench;

/// What to do about a change before a run goes on.
pub const TO_RESUME: &str = "put the old files back to resume, or begin a new run";

/// What to do about a change before a trial is exported or answers with it.
pub const AS_SCORED: &str =
    "put the old files back: what is handed on must be what the run scored; or begin a new run";

/// Checkpoints as a manifest records them.
pub fn checkpoint_entries(bench: &Workbench) -> Result<Vec<CheckpointEntry>, Failure> {
    let entry = |(name, checkpoint): (&String, &Checkpoint)| {
        let sha256 = checkpoint.digest().map_err(|error| Failure::from_error(&error))?;
        Ok(CheckpointEntry { name: name.clone(), sha256: sha256.to_owned() })
    };
    bench.names.iter().zip(bench.evaluator.checkpoints()).map(entry).collect()
}

/// Tasks as a manifest records them.
pub fn task_entries(tasks: &[Task], limits: DocLimits) -> Vec<TaskEntry> {
    let count = |docs: usize, limit: Option<usize>| docs.min(limit.unwrap_or(docs)) as u64;
    let entry = |task: &Task| TaskEntry {
        name: task.name.clone(),
        metric: task.judged().as_str().to_owned(),
        others: task.metrics.iter().skip(1).map(|metric| metric.as_str().to_owned()).collect(),
        sha256: task.digest.clone(),
        source: source_of(task),
        docs: DocCounts {
            search: count(task.docs(Split::Search).len(), limits.search),
            selection: count(task.docs(Split::Selection).len(), limits.selection),
            holdout: count(task.docs(Split::Holdout).len(), limits.holdout),
        },
    };
    tasks.iter().map(entry).collect()
}

/// Scores of other weights or other documents must not be mixed into a run, nor exported as its own.
pub fn require_all(manifest: &RunManifest, bench: &Workbench, remedy: &str) -> Result<(), Failure> {
    for (then, now) in manifest.checkpoints.iter().zip(checkpoint_entries(bench)?) {
        require_checkpoint(then, &now.sha256, remedy)?;
    }
    require_tasks(manifest, &bench.tasks, bench.decoder.space().docs, remedy)
}

/// Refuses a checkpoint whose digest is not the recorded one.
pub fn require_checkpoint(
    then: &CheckpointEntry,
    sha256: &str,
    remedy: &str,
) -> Result<(), Failure> {
    match then.sha256 == sha256 {
        true => Ok(()),
        false => Err(changed("checkpoint", &then.name, &then.sha256, sha256, remedy)),
    }
}

/// Refuses tasks that are not the recorded ones.
pub fn require_tasks(
    manifest: &RunManifest,
    tasks: &[Task],
    limits: DocLimits,
    remedy: &str,
) -> Result<(), Failure> {
    let now = task_entries(tasks, limits);
    let differing = manifest.tasks.iter().zip(&now).find(|(then, now)| then != now);
    match differing {
        None => Ok(()),
        Some((then, now)) => Err(changed("task", &then.name, &then.sha256, &now.sha256, remedy)),
    }
}

fn changed(what: &str, name: &str, then: &str, now: &str, remedy: &str) -> Failure {
    let digests = match then == now {
        true => String::new(),
        false => format!(": its digest was {then} and is {now}"),
    };
    Failure::input(format!("{what} `{name}` has changed since the run began{digests}"))
        .remedy(remedy)
}
