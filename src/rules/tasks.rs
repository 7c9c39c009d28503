//! The tasks of a space, read without a connection.

use std::path::Path;

use super::data::DataUse;
use crate::hub::Hub;
use crate::space::{DocLimits, SearchSpace};
use crate::task::{Loader, Task, TaskError, definition};

/// What is at hand of a space's tasks.
#[derive(Debug, Default)]
pub struct SpaceTasks {
    /// With their documents.
    pub tasks: Vec<Task>,
    /// Of these, and of those whose task file alone is at hand.
    pub uses: Vec<DataUse>,
    /// Name and reason of those of which there is nothing.
    pub unread: Vec<(String, String)>,
}

impl SpaceTasks {
    /// Reads what is in files and in the hub's cache.
    pub fn read(space: &SearchSpace, hub: &Hub) -> SpaceTasks {
        let hub = Hub { offline: true, ..hub.clone() };
        let mut read = SpaceTasks::default();
        for path in &space.tasks {
            match (Loader { hub: Some(&hub) }).load(path) {
                Ok(tasks) => {
                    read.uses.extend(tasks.iter().map(|task| limited(task, space.docs)));
                    read.tasks.extend(tasks);
                }
                Err(error) => read.without_documents(path, &error),
            }
        }
        read
    }

    fn without_documents(&mut self, path: &Path, error: &TaskError) {
        let file = if path.is_dir() { path.join("task.toml") } else { path.to_owned() };
        match definition::read(&file) {
            Ok((definition, _)) if matches!(error, TaskError::Hub { .. }) => {
                self.uses.push(DataUse::from(&definition));
            }
            _ => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                self.unread.push((name.unwrap_or_default(), error.to_string()));
            }
        }
    }
}

/// With the numbers of documents that the space takes.
fn limited(task: &Task, limits: DocLimits) -> DataUse {
    let mut used = DataUse::from(task);
    if let Some((_, docs)) = &mut used.read {
        let at_most =
            |docs: u64, limit: Option<usize>| limit.map_or(docs, |limit| docs.min(limit as u64));
        docs.search = at_most(docs.search, limits.search);
        docs.selection = at_most(docs.selection, limits.selection);
        docs.holdout = at_most(docs.holdout, limits.holdout);
    }
    used
}
