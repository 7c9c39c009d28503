//! What was searched on.

mod expression;
mod generated;
mod overlap;

use serde::Deserialize;

use super::profile::Severity;
use super::{Finding, Verdict};
use crate::record::{DataSource, DocCounts, TaskEntry};
use crate::task::definition::DatasetPath;
use crate::task::split::benchmark_test;
use crate::task::{Definition, Task};
use crate::units::Split;

pub use generated::GeneratorRules;
pub use overlap::{TestSet, overlap};

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRules {
    /// Who says so.
    pub source: String,
    /// SPDX identifiers that are open.
    pub licences: Vec<String>,
    /// Datasets that the organisers name themselves.
    pub allowed: Vec<String>,
    /// Where no licence is stated.
    pub no_licence: Severity,
    /// Where it is another licence.
    pub other_licence: Severity,
    /// Where a dataset of the hub is read at no fixed commit.
    pub no_commit: Severity,
    /// Who may have written it; absent: anybody.
    pub generated_by: Option<GeneratorRules>,
}

/// Documents that a search reads.
#[derive(Debug, Clone, PartialEq)]
pub struct DataUse {
    /// Name of the task.
    pub task: String,
    /// As its file says, and as it was read.
    pub source: DataSource,
    /// The benchmark whose test set this is.
    pub benchmark_test: Option<String>,
    /// Digest and number of the documents; `None`: they are not at hand.
    pub read: Option<(String, DocCounts)>,
}

impl From<&TaskEntry> for DataUse {
    fn from(entry: &TaskEntry) -> DataUse {
        let read = entry.source.dataset.as_deref().zip(entry.source.split.as_deref());
        let benchmark = read.and_then(|(dataset, split)| benchmark_test(dataset, split));
        DataUse {
            task: entry.name.clone(),
            source: entry.source.clone(),
            benchmark_test: benchmark.map(str::to_owned),
            read: Some((entry.sha256.clone(), entry.docs)),
        }
    }
}

/// Where a task's documents come from, as a manifest records it.
pub fn source_of(task: &Task) -> DataSource {
    DataSource {
        dataset: task.origin.dataset.clone(),
        commit: task.origin.commit.clone(),
        split: task.origin.split.clone(),
        license: task.license.clone(),
        generated_by: task.generated_by.clone(),
    }
}

impl From<&Task> for DataUse {
    fn from(task: &Task) -> DataUse {
        let docs = |split| task.docs(split).len() as u64;
        let counts = DocCounts {
            search: docs(Split::Search),
            selection: docs(Split::Selection),
            holdout: docs(Split::Holdout),
        };
        DataUse {
            task: task.name.clone(),
            source: source_of(task),
            benchmark_test: task.origin.benchmark_test.clone(),
            read: Some((task.digest.clone(), counts)),
        }
    }
}

impl From<&Definition> for DataUse {
    fn from(definition: &Definition) -> DataUse {
        let hub = definition.dataset.as_ref().and_then(|dataset| match &dataset.path {
            DatasetPath::Hub { id, revision } => Some((id.clone(), revision.clone())),
            DatasetPath::Local(_) => None,
        });
        let (dataset, commit) = hub.map_or((None, None), |(id, commit)| (Some(id), commit));
        DataUse {
            task: definition.task.clone(),
            source: DataSource {
                dataset,
                commit,
                split: None,
                license: definition.license.clone(),
                generated_by: definition.generated_by.clone(),
            },
            benchmark_test: None,
            read: None,
        }
    }
}

/// Every task by itself; `base` is the base model's id, or its family.
pub fn check(rules: &DataRules, uses: &[DataUse], base: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = uses.iter().map(|used| openness(rules, used)).collect();
    if let Some(generators) = &rules.generated_by {
        findings.extend(uses.iter().map(|used| generators.check(rules, used, base)));
    }
    findings
}

fn openness(rules: &DataRules, used: &DataUse) -> Finding {
    let reasons = [
        test_set(used),
        licence(rules, used),
        commit(rules, used),
        used.read.is_none().then_some((
            Verdict::Unknown,
            "documents not at hand",
            "check again where the dataset is in the cache",
        )),
    ];
    let worst = reasons.into_iter().flatten().max_by_key(|(verdict, _, _)| *verdict);
    let (verdict, reason, remedy) = worst.unwrap_or((Verdict::Pass, "", ""));
    let reason = if reason.is_empty() { String::new() } else { format!("{reason}: ") };
    Finding::new("data", &used.task, verdict, reason + &evidence(used)).remedy(remedy)
}

type Reason = Option<(Verdict, &'static str, &'static str)>;

fn test_set(used: &DataUse) -> Reason {
    let remedy = "name another split of the dataset in the task file (`splits.from`)";
    used.benchmark_test.as_ref().map(|_| (Verdict::Fail, "a benchmark's test set", remedy))
}

fn licence(rules: &DataRules, used: &DataUse) -> Reason {
    let named = |id: &String| rules.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(id));
    if used.source.dataset.as_ref().is_some_and(named) {
        return None;
    }
    let stated = used.source.license.as_deref().filter(|licence| is_stated(licence));
    match stated {
        None => Some((
            rules.no_licence.into(),
            "no licence stated",
            "look it up on the dataset's page and write `license` (SPDX) into the task file, or search on another dataset",
        )),
        Some(licence) => match is_open(rules, licence) {
            Some(true) => None,
            Some(false) => Some((
                rules.other_licence.into(),
                "licence not on the list",
                "ask the organisers, or search on a dataset under one of the profile's licences",
            )),
            None => Some((
                Verdict::Unknown,
                "licence is no SPDX expression of AND, OR and parentheses",
                "write `license` in the task file as SPDX does",
            )),
        },
    }
}

fn is_stated(licence: &str) -> bool {
    !["noassertion", "none", "unknown", "other", ""].contains(&licence.to_lowercase().as_str())
}

fn is_open(rules: &DataRules, expression: &str) -> Option<bool> {
    let listed = |licence: &str| rules.licences.iter().any(|it| it.eq_ignore_ascii_case(licence));
    expression::holds(expression, &listed)
}

fn commit(rules: &DataRules, used: &DataUse) -> Reason {
    let is_commit =
        |commit: &String| commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pinned = used.source.commit.as_ref().is_some_and(is_commit);
    let remedy =
        "write the commit, 40 hexadecimal digits, into the task file (`dataset_kwargs.revision`)";
    (used.source.dataset.is_some() && !pinned)
        .then(|| (rules.no_commit.into(), "no fixed commit", remedy))
}

fn evidence(used: &DataUse) -> String {
    let source = &used.source;
    let mut words = vec![match (&source.dataset, &source.commit) {
        (Some(id), Some(commit)) => format!("{id}@{commit}"),
        (Some(id), None) => format!("{id}, branch main"),
        (None, _) => "files of the user's".to_owned(),
    }];
    words.extend(source.split.iter().map(|split| format!("split {split}")));
    words.extend(used.benchmark_test.iter().map(|test| format!("{test} is scored on it")));
    let licence = source.license.as_deref().unwrap_or("none");
    words.push(format!("license = {licence:?} (task file)"));
    if let Some((sha256, docs)) = &used.read {
        let (search, selection, holdout) = (docs.search, docs.selection, docs.holdout);
        words.push(format!("sha256 {sha256}"));
        words.push(format!("{search} + {selection} + {holdout} documents"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests;
