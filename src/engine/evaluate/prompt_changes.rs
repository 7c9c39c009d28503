//! Tasks as a recipe puts them.

use std::collections::BTreeMap;
use std::path::Path;

use super::OpenError;
use super::chat::{put_so, template};
use super::fingerprint::{Fingerprint, fingerprint};
use crate::recipe::{AnswerStyle, PromptChange};
use crate::task::{Prompt, Task};

/// The prompts of a task under a change: what the change leaves open is as the task has it.
pub fn changed_prompt(task: &Task, change: &PromptChange) -> Prompt {
    let own = task.prompt.clone();
    let letters = |style: AnswerStyle| style == AnswerStyle::Letter;
    Prompt {
        num_fewshot: change.num_fewshot.unwrap_or(own.num_fewshot),
        system_instruction: change.system_instruction.clone().or(own.system_instruction),
        apply_chat_template: change.apply_chat_template.unwrap_or(own.apply_chat_template),
        fewshot_as_multiturn: own.fewshot_as_multiturn,
        max_gen_toks: change.max_gen_toks.unwrap_or(own.max_gen_toks),
        doc_to_text: change.doc_to_text.clone().or(own.doc_to_text),
        letters: change.answer_style.map_or(own.letters, letters),
    }
}

/// The prompts that a recipe changes: index of the task and its new ones, in the tasks' order. What a recipe sets as it is
/// already is no change.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PromptChanges(Vec<(usize, Prompt)>);

impl PromptChanges {
    /// # Errors
    /// [`OpenError::NoSuchTask`].
    pub fn new(
        tasks: &[Task],
        changes: &BTreeMap<String, PromptChange>,
    ) -> Result<Self, OpenError> {
        let mut changed = Vec::new();
        for (name, change) in changes {
            let found = tasks.iter().enumerate().find(|(_, task)| task.name == *name);
            let (index, task) = found.ok_or_else(|| OpenError::NoSuchTask {
                name: name.clone(),
                tasks: tasks.iter().map(|task| task.name.clone()).collect(),
            })?;
            let prompt = changed_prompt(task, change);
            if prompt != task.prompt {
                changed.push((index, prompt));
            }
        }
        changed.sort_by_key(|(index, _)| *index);
        Ok(PromptChanges(changed))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &(usize, Prompt)> {
        self.0.iter()
    }

    /// `None`: nothing is changed.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        (!self.is_empty()).then(|| fingerprint(&self.0))
    }
}

/// One task with these prompts, in the words of the chat template in `folder` if they ask for it.
///
/// # Errors
/// The prompts cannot be made of the task's documents, or there is no chat template.
pub(super) fn put(task: &Task, prompt: &Prompt, folder: &Path) -> Result<Task, OpenError> {
    put_so(task, prompt, template(prompt.apply_chat_template, folder)?.as_ref(), folder)
}
