//! Tasks whose prompts are chats, in the words of the model that reads them.

use std::path::Path;

use super::OpenError;
use crate::task::{ChatTemplate, Date, Prompt, Task};

/// What chat templates take for today, whatever the clock says, so that a prompt is the same tomorrow: the date that Llama 3.1's
/// template falls back on.
const TODAY: (u16, u8, u8) = (2024, 7, 26);

/// The tasks with their prompts as the chat template in `folder` writes them, where they ask for one.
///
/// # Errors
/// The folder has no chat template, or one that cannot be used for these prompts.
pub fn ready_tasks(tasks: &[Task], folder: &Path) -> Result<Vec<Task>, OpenError> {
    let chats = tasks.iter().any(|task| task.prompt.apply_chat_template);
    let template = template(chats, folder)?;
    let ready = |task: &Task| match task.prompt.apply_chat_template {
        false => Ok(task.clone()),
        true => put_so(task, &task.prompt, template.as_ref(), folder),
    };
    tasks.iter().map(ready).collect()
}

/// The chat template in `folder`, if it is needed and there is one.
pub(super) fn template(needed: bool, folder: &Path) -> Result<Option<ChatTemplate>, OpenError> {
    let today = Date::new(TODAY.0, TODAY.1, TODAY.2).filter(|_| needed);
    Ok(today.map_or(Ok(None), |today| ChatTemplate::read(folder, today))?)
}

/// The task with these prompts. `template` is what `folder` has.
pub(super) fn put_so(
    task: &Task,
    prompt: &Prompt,
    template: Option<&ChatTemplate>,
    folder: &Path,
) -> Result<Task, OpenError> {
    if prompt.apply_chat_template && template.is_none() {
        let (task, folder) = (task.name.clone(), folder.to_owned());
        return Err(OpenError::NoChatTemplate { task, folder });
    }
    Ok(task.with_prompt(prompt.clone(), template)?)
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
