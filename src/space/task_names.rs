//! What a space says of tasks by their names, which stand in the tasks' own files.

use std::path::Path;

use super::SearchSpace;
use crate::recipe::{Classes, Prompts};

/// What the space says of tasks does not fit to the tasks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskNameError {
    /// Another number of tasks than of entries.
    #[error(
        "key `routing.documents.classes` is \"tasks\", and the {entries} entries of `tasks.folders` hold {tasks} tasks; valid: \"tasks\" where each entry holds one, or a number of clusters"
    )]
    Count {
        /// Entries of `tasks.folders`.
        entries: usize,
        /// Tasks loaded.
        tasks: usize,
    },
    /// A name that no task has.
    #[error("key `{key}` is `{found}`; valid: {valid} (the tasks' names)")]
    Unknown {
        /// The key.
        key: String,
        /// The name.
        found: String,
        /// The names that there are.
        valid: String,
    },
}

impl SearchSpace {
    /// A word for each entry of `tasks.folders`, all different: the folder's or the file's name.
    pub fn task_labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = Vec::new();
        for path in &self.tasks {
            let stem = label(path);
            let numbered = (2..).map(|number| format!("{stem}-{number}"));
            let mut words = std::iter::once(stem.clone()).chain(numbered);
            labels.extend(words.find(|word| !labels.contains(word)));
        }
        labels
    }

    /// Whether the tasks loaded are those that the space speaks of.
    ///
    /// # Errors
    /// A name that none of them has; where each is a class of documents, another number than the space has entries.
    pub fn check_tasks(&self, names: &[&str]) -> Result<(), TaskNameError> {
        if let Some(documents) = &self.routing.documents
            && let Classes::Tasks(entries) = documents.classes
            && entries != names.len()
        {
            return Err(TaskNameError::Count { entries, tasks: names.len() });
        }
        let unknown = self.named_tasks().into_iter().find(|(_, task)| !names.contains(&&**task));
        unknown.map_or(Ok(()), |(key, found)| {
            Err(TaskNameError::Unknown { key, found, valid: names.join(", ") })
        })
    }

    /// Keys, and the tasks that they name.
    fn named_tasks(&self) -> Vec<(String, String)> {
        let of_prompts =
            |prompts: &super::PromptRouting| ("routing.prompts".to_owned(), prompts.task.clone());
        let mut named: Vec<_> = self.routing.prompts.iter().map(of_prompts).collect();
        for (expert, prompts) in self.routing.tokens.iter().flat_map(|tokens| &tokens.experts) {
            let name = self.model_name(expert + 1);
            let key = format!("routing.tokens.prompts.{name}");
            match prompts {
                Some(Prompts::Texts(_)) => {}
                Some(Prompts::Task(task)) => named.push((key, task.clone())),
                // A gene chooses among the entries, by their words.
                None => {
                    named.extend(self.task_labels().into_iter().map(|task| (key.clone(), task)))
                }
            }
        }
        named
    }
}

/// Without the ending of a file; of `folder/task.toml`, the folder's.
fn label(path: &Path) -> String {
    let named = path.file_name().is_some_and(|name| name == "task.toml");
    let path = path.parent().filter(|_| named).unwrap_or(path);
    let is_file = path
        .extension()
        .is_some_and(|ending| ["toml", "yaml", "yml", "csv"].iter().any(|known| ending == *known));
    let name = if is_file { path.file_stem() } else { path.file_name() };
    name.map_or_else(|| "task".to_owned(), |name| name.to_string_lossy().into_owned())
}
