//! Prompts: a recipe's, and the options that a search space gives.

use std::collections::BTreeMap;

use merge_search::evaluate::{CandleEvaluator, OpenError, changed_prompt};
use merge_search::recipe::{PromptChange, Recipe};
use merge_search::space::{PromptRouting, SearchSpace};
use merge_search::task::Task;

use super::{Failure, tell};

/// The tasks as `recipe` puts them; without the words of a chat template, which are the model's.
pub fn put(tasks: Vec<Task>, recipe: &Recipe) -> Result<Vec<Task>, Failure> {
    for name in recipe.prompts.keys().filter(|name| tasks.iter().all(|task| task.name != **name)) {
        tell(&format!(
            "note: the recipe has prompts for the task {name}, which is not scored here"
        ));
    }
    let put = |task: Task| match recipe.prompts.get(&task.name) {
        Some(change) => task.with_prompt(changed_prompt(&task, change), None),
        None => Ok(task),
    };
    let put: Result<Vec<Task>, _> = tasks.into_iter().map(put).collect();
    put.map_err(|error| Failure::from_error(&error))
}

/// Refuses options that no candidate can be scored with, whatever its other genes.
pub fn check(path: &str, space: &SearchSpace, evaluator: &CandleEvaluator) -> Result<(), Failure> {
    for routing in &space.routing.prompts {
        let checked = |change: &PromptChange| {
            let prompts = BTreeMap::from([(routing.task.clone(), change.clone())]);
            evaluator.check_prompts(&prompts).map_err(Box::new)
        };
        options(routing).iter().try_for_each(|ways| possible(path, ways, checked))?;
    }
    Ok(())
}

/// One of `ways` to use an option must do.
fn possible(
    path: &str,
    ways: &[PromptChange],
    checked: impl Fn(&PromptChange) -> Result<(), Box<OpenError>>,
) -> Result<(), Failure> {
    let mut first = None;
    for way in ways {
        match checked(way) {
            Ok(()) => return Ok(()),
            Err(error) => first = first.or(Some(error)),
        }
    }
    match first {
        None => Ok(()),
        Some(error) => Err(Failure::from_error(&*error).at(&format!("{path}: routing.prompts"))),
    }
}

/// Every option of a task's prompts, each with all that it may depend on: whether a chat template writes the prompt.
fn options(routing: &PromptRouting) -> Vec<Vec<PromptChange>> {
    let none = PromptChange::default();
    let mut options = Vec::new();
    for &shots in &routing.num_fewshot {
        options.push(PromptChange { num_fewshot: Some(shots), ..none.clone() });
    }
    for text in &routing.system_instruction {
        options.push(PromptChange { system_instruction: Some(text.clone()), ..none.clone() });
    }
    for text in &routing.doc_to_text {
        options.push(PromptChange { doc_to_text: Some(text.clone()), ..none.clone() });
    }
    for &style in &routing.answer_style {
        options.push(PromptChange { answer_style: Some(style), ..none.clone() });
    }
    for &tokens in &routing.max_gen_toks {
        options.push(PromptChange { max_gen_toks: Some(tokens), ..none.clone() });
    }
    let chats: Vec<Option<bool>> = match routing.apply_chat_template.as_slice() {
        [] => vec![None],
        chats => chats.iter().copied().map(Some).collect(),
    };
    let with = |option: PromptChange| {
        let with =
            |chat: &Option<bool>| PromptChange { apply_chat_template: *chat, ..option.clone() };
        chats.iter().map(with).collect()
    };
    let of_chats =
        chats.iter().map(|&chat| vec![PromptChange { apply_chat_template: chat, ..none.clone() }]);
    options.into_iter().map(with).chain(of_chats).collect()
}

#[cfg(test)]
mod tests {
    use merge_search::recipe::AnswerStyle;

    use super::*;

    #[test]
    fn an_option_is_tried_with_and_without_a_chat() {
        let routing = PromptRouting {
            task: "t".to_owned(),
            num_fewshot: vec![0, 4],
            answer_style: vec![AnswerStyle::Letter],
            apply_chat_template: vec![true, false],
            ..PromptRouting::default()
        };
        let options = options(&routing);
        let ways: Vec<usize> = options.iter().map(Vec::len).collect();
        assert_eq!(ways, [2, 2, 2, 1, 1], "three options, then the chats by themselves");
        assert_eq!(options[1][1].num_fewshot, Some(4));
        assert_eq!(options[1][1].apply_chat_template, Some(false));
        assert_eq!(options[2][0].answer_style, Some(AnswerStyle::Letter));
    }
}
