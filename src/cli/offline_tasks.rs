//! What can be told of a space's tasks where nothing may be downloaded.

use std::path::Path;

use merge_search::hub::Hub;
use merge_search::space::{DocLimits, SearchSpace};
use merge_search::task::{Loader, Task};
use merge_search::units::Split;
use serde_json::{Value, json};

use super::failure::chain;

/// A task as far as its files are there.
pub struct OfflineTask {
    path: String,
    /// Name and documents of each split; or why there are none.
    found: Result<Vec<(String, [usize; 3])>, String>,
}

impl OfflineTask {
    /// All of the space's.
    pub fn all(space: &SearchSpace, hub: &Hub) -> Vec<Self> {
        space.tasks.iter().map(|path| Self::read(path, &space.docs, hub)).collect()
    }

    fn read(path: &Path, limits: &DocLimits, hub: &Hub) -> Self {
        let loaded = Loader { hub: Some(hub) }.load(path);
        let counted = loaded.map(|tasks| {
            tasks.iter().map(|task| (task.name.clone(), docs(task, limits))).collect()
        });
        let found = counted.map_err(|error| chain(&error));
        Self { path: path.display().to_string(), found }
    }

    /// For people.
    pub fn text(&self) -> String {
        match &self.found {
            Err(why) => format!("documents missing: {why}\n"),
            Ok(tasks) => tasks
                .iter()
                .map(|(name, [search, selection, holdout])| {
                    format!(
                        "task {name}: {search} search, {selection} selection, {holdout} holdout\n"
                    )
                })
                .collect(),
        }
    }

    /// For machines.
    pub fn json(&self) -> Value {
        match &self.found {
            Err(why) => json!({ "path": self.path, "missing": why }),
            Ok(tasks) => {
                let tasks =
                    tasks.iter().map(|(name, docs)| json!({ "name": name, "documents": docs }));
                json!({ "path": self.path, "tasks": tasks.collect::<Vec<Value>>() })
            }
        }
    }
}

/// Documents of each split that a search would score.
fn docs(task: &Task, limits: &DocLimits) -> [usize; 3] {
    let limit = |split| match split {
        Split::Search => limits.search,
        Split::Selection => limits.selection,
        Split::Holdout => limits.holdout,
    };
    Split::ALL.map(|split| task.docs(split).len().min(limit(split).unwrap_or(usize::MAX)))
}
