//! The tasks of a mergekit-evolve file, found as folders.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Note;
use super::error::{Blame, SpaceError};
use super::evolve::RawEvolve;
use crate::objective::{AggregateChoice, AggregateKind, TaskWeights};

/// An entry of `tasks`.
#[derive(Debug)]
pub(super) struct RawTask {
    name: String,
    weight: f64,
    metric: String,
}

const METRIC: &str = "acc,none";

impl<'de> Deserialize<'de> for RawTask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TaskVisitor)
    }
}

struct TaskVisitor;

impl<'de> Visitor<'de> for TaskVisitor {
    type Value = RawTask;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a task, or {name, weight, metric}")
    }
    fn visit_str<E>(self, name: &str) -> Result<RawTask, E> {
        Ok(RawTask { name: name.to_owned(), weight: 1.0, metric: METRIC.to_owned() })
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawTask, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct RawMapping {
            name: String,
            weight: Option<f64>,
            metric: Option<String>,
        }
        let raw = RawMapping::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RawTask {
            name: raw.name,
            weight: raw.weight.unwrap_or(1.0),
            metric: raw.metric.unwrap_or_else(|| METRIC.to_owned()),
        })
    }
}

/// The tasks' folders, in the file's order.
pub(super) fn check(
    blame: &Blame<'_>,
    raw: &RawEvolve,
    folder: &Path,
    notes: &mut Vec<Note>,
) -> Result<Vec<PathBuf>, SpaceError> {
    check_weights(blame, &raw.tasks, notes)?;
    let mut folders = Vec::new();
    for task in &raw.tasks {
        let found = find(blame, &task.name, folder)?;
        if folders.contains(&found) {
            let twice = format!("`{}` twice", task.name);
            return Err(blame.value("tasks", twice, "each task once"));
        }
        check_metric(blame, task, &found, notes)?;
        folders.push(found);
    }
    check_prompts(blame, raw, notes)?;
    Ok(folders)
}

/// Documents of each task that a candidate is scored on.
pub(super) fn limit(blame: &Blame<'_>, raw: &RawEvolve) -> Result<Option<usize>, SpaceError> {
    match raw.limit.map(usize::try_from) {
        None => Ok(None),
        Some(Ok(docs)) if docs > 0 => Ok(Some(docs)),
        Some(_) => {
            let found = raw.limit.unwrap_or_default();
            Err(blame.value("limit", found, "a positive number of documents, or null"))
        }
    }
}

/// mergekit-evolve maximises the sum of `weight · metric` over the tasks, of which the weighted arithmetic mean is a fixed
/// multiple. Of a single task every mean is its metric.
pub(super) fn aggregate(tasks: &[RawTask]) -> AggregateChoice {
    if tasks.len() < 2 {
        return AggregateChoice::default();
    }
    AggregateChoice {
        kind: AggregateKind::ArithmeticMean,
        weights: TaskWeights::InOrder(tasks.iter().map(|task| task.weight).collect()),
        ..AggregateChoice::default()
    }
}

/// A task that is to do badly, or not to count, is another objective.
fn check_weights(
    blame: &Blame<'_>,
    tasks: &[RawTask],
    notes: &mut Vec<Note>,
) -> Result<(), SpaceError> {
    let weights: Vec<f64> = tasks.iter().map(|task| task.weight).collect();
    match weights[..] {
        [] => return Err(blame.value("tasks", "empty", "at least one task")),
        [1.0] => {}
        _ if weights.iter().any(|weight| !weight.is_normal() || *weight < 0.0) => {
            return Err(blame.value("tasks.weight", format!("{weights:?}"), "positive numbers"));
        }
        _ => notes.push(Note::WeightedSum { weights }),
    }
    Ok(())
}

/// `datasets/<name>` beside the file or beside a folder it is in, or the name itself as a folder.
fn find(blame: &Blame<'_>, name: &str, folder: &Path) -> Result<PathBuf, SpaceError> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let beside = folder.ancestors().map(|parent| parent.join("datasets").join(name));
    let tried: Vec<PathBuf> = beside.chain([folder.join(name)]).collect();
    let found = tried.iter().find(|path| !name.is_empty() && path.join("task.toml").is_file());
    found.cloned().ok_or_else(|| {
        let paths: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
        let valid = format!("a folder with a task.toml; looked for {}", paths.join(", "));
        blame.value("tasks.name", format!("`{name}`"), valid)
    })
}

/// Metrics of a task's folder that a choice can be scored by: whichever of them the file asks for, the folder's is meant.
const CHOICE_METRICS: [&str; 7] =
    ["acc", "acc_norm", "acc_bytes", "acc_mutual_info", "pmi", "kit", "kit_fixed"];

/// What a task's folder says of its metrics. Which it may name is [`crate::task`]'s to say; here they are compared.
#[derive(Debug, Default, Deserialize)]
struct FolderMetrics {
    metric: Option<String>,
    #[serde(default)]
    metric_list: Vec<NamedMetric>,
    #[serde(default)]
    filter_list: Vec<NamedFilter>,
}

#[derive(Debug, Deserialize)]
struct NamedMetric {
    metric: String,
}

#[derive(Debug, Deserialize)]
struct NamedFilter {
    name: String,
}

/// lm-eval's `metric,filter`.
fn check_metric(
    blame: &Blame<'_>,
    task: &RawTask,
    folder: &Path,
    notes: &mut Vec<Note>,
) -> Result<(), SpaceError> {
    let text = std::fs::read_to_string(folder.join("task.toml")).unwrap_or_default();
    // A folder that makes no sense is reported with its line when the task is loaded.
    let of_folder: FolderMetrics = toml::from_str(&text).unwrap_or_default();
    let listed = of_folder.metric_list.into_iter().map(|named| named.metric);
    let metrics: Vec<String> = of_folder.metric.into_iter().chain(listed).collect();
    let Some(scored) = metrics.first().cloned() else {
        return Ok(());
    };
    let (asked, filter) = task.metric.split_once(',').unwrap_or((&task.metric, ""));
    let filtered =
        filter == "none" || of_folder.filter_list.iter().any(|known| known.name == filter);
    let choices = [asked, &scored].iter().all(|metric| CHOICE_METRICS.contains(metric));
    if filtered && asked == scored {
        return Ok(());
    }
    if filtered && (choices || metrics.iter().any(|metric| metric == asked)) {
        let (task, asked) = (task.name.clone(), task.metric.clone());
        notes.push(Note::MetricOfTask { task, asked, scored });
        return Ok(());
    }
    let valid = format!("\"{scored},none\" for task `{}`, as its task.toml has it", task.name);
    Err(blame.value("tasks.metric", format!("{:?}", task.metric), valid))
}

fn check_prompts(
    blame: &Blame<'_>,
    raw: &RawEvolve,
    notes: &mut Vec<Note>,
) -> Result<(), SpaceError> {
    match raw.num_fewshot {
        None | Some(0) => {}
        Some(asked @ 1..) => notes.push(Note::ZeroShot { asked }),
        Some(asked) => return Err(blame.value("num_fewshot", asked, "0 or more, or null")),
    }
    notes.extend(raw.apply_chat_template.then_some(Note::NoChatTemplate));
    notes.extend(raw.shuffle.then_some(Note::NotShuffled));
    Ok(())
}
