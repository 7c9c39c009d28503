//! The tasks of a search under the prompts of its candidates.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::OpenError;
use super::fingerprint::{Fingerprint, fingerprint};
use super::lru::Lru;
use super::prompt_changes::{PromptChanges, put};
use crate::task::{Prompt, Task};
use crate::units::Split;

/// Memory for the texts of tasks under other prompts: there are few ways to put a task, and many candidates.
const HELD: usize = 64_000_000;
/// What a document takes beside its text, roughly.
const DOC: usize = 300;

pub(super) struct ChangedTasks {
    /// Where the chat template is.
    folder: PathBuf,
    /// By index and prompts.
    held: Mutex<Lru<(usize, Fingerprint), Task>>,
}

impl ChangedTasks {
    pub fn new(folder: PathBuf) -> Self {
        ChangedTasks { folder, held: Mutex::new(Lru::new(HELD)) }
    }

    /// All tasks, in order, those that `changes` names as it puts them.
    pub fn tasks(&self, tasks: &[Task], changes: &PromptChanges) -> Result<Vec<Task>, OpenError> {
        let mut changed = tasks.to_vec();
        for (index, prompt) in changes.iter() {
            if let Some(task) = changed.get_mut(*index) {
                *task = self.task(*index, task, prompt)?;
            }
        }
        Ok(changed)
    }

    fn task(&self, index: usize, task: &Task, prompt: &Prompt) -> Result<Task, OpenError> {
        let key = (index, fingerprint(prompt));
        let lock = || self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = lock().get(&key);
        if let Some(task) = held {
            return Ok(task);
        }
        let changed = put(task, prompt, &self.folder)?;
        lock().insert(key, changed.clone(), bytes(&changed));
        Ok(changed)
    }
}

fn bytes(task: &Task) -> usize {
    let docs = Split::ALL.into_iter().flat_map(|split| task.docs(split));
    docs.map(|doc| doc.text.len() + DOC).sum()
}
