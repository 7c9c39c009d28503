//! Tasks whose prompts are chats, in the words of the model that reads them.

use std::path::Path;

use super::OpenError;
use crate::task::{ChatTemplate, Date, Task};

/// What chat templates take for today, whatever the clock says, so that a prompt is the same tomorrow: the date that Llama 3.1's
/// template falls back on.
const TODAY: (u16, u8, u8) = (2024, 7, 26);

/// The tasks with their prompts as the chat template in `folder` writes them, where they ask for one.
///
/// # Errors
/// The folder has no chat template, or one that cannot be used for these prompts.
pub fn ready_tasks(tasks: &[Task], folder: &Path) -> Result<Vec<Task>, OpenError> {
    let template = match tasks.iter().any(|task| task.prompt.apply_chat_template) {
        true => Date::new(TODAY.0, TODAY.1, TODAY.2)
            .map_or(Ok(None), |today| ChatTemplate::read(folder, today))?,
        false => None,
    };
    let ready = |task: &Task| match (&template, task.prompt.apply_chat_template) {
        (_, false) => Ok(task.clone()),
        (Some(template), true) => Ok(task.with_chat(template)?),
        (None, true) => {
            Err(OpenError::NoChatTemplate { task: task.name.clone(), folder: folder.to_owned() })
        }
    };
    tasks.iter().map(ready).collect()
}

/// Checks that every document of a task that is to be searched on has a known answer.
pub(super) fn require_answers(tasks: &[Task]) -> Result<(), OpenError> {
    for task in tasks {
        if let Some(doc) = task.unanswered() {
            let (task, place) = (task.name.clone(), doc.place.clone());
            return Err(OpenError::Unanswered { task, place });
        }
    }
    Ok(())
}
