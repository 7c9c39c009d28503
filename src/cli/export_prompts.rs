//! What a run's prompts had that no exported class has: its scores were reached with them.

use merge_search::recipe::{PromptChange, Recipe};
use merge_search::record::RunManifest;
use merge_search::submission::competition::ChoiceScorer;
use merge_search::task::metric::MetricKind;
use merge_search::task::{OutputType, Task};

use super::Failure;

/// Refuses a trial with prompts of its own, unless the user wants its merge without them.
pub fn require_own_prompts(
    without_prompts: bool,
    recipe: &Recipe,
    trial: u64,
) -> Result<(), Failure> {
    let changed = changed(recipe);
    if without_prompts || changed.is_empty() {
        return Ok(());
    }
    Err(Failure::input(format!(
        "trial {trial} was scored with other prompts for {}, which the class does not apply: its scores are not the class's",
        changed.join(", ")
    ))
    .remedy(
        "name a trial whose recipe has no `prompts` with --trial N, write a checkpoint with --format checkpoint, or leave them out with \
         --without-prompts",
    ))
}

/// Names of tasks. The length of texts alone is the class's too.
fn changed(recipe: &Recipe) -> Vec<&str> {
    let is_changed = |change: &PromptChange| {
        PromptChange { max_gen_toks: None, ..change.clone() } != PromptChange::default()
    };
    let changed = recipe.prompts.iter().filter(|(_, change)| is_changed(change));
    changed.map(|(task, _)| task.as_str()).collect()
}

/// A part of a sentence for each kind of difference.
pub fn only_in_the_run(
    recipe: &Recipe,
    run: &RunManifest,
    tasks: &Result<Vec<Task>, Failure>,
) -> Vec<String> {
    let mut parts = Vec::new();
    let changed = changed(recipe);
    if !changed.is_empty() {
        parts.push(format!("the recipe's `prompts` for {}", changed.join(", ")));
    }
    match tasks {
        Ok(tasks) => {
            parts.extend(said("`target_delimiter`", tasks, delimiter));
            parts.extend(said("`until`", tasks, until));
        }
        Err(_) => {
            let names: Vec<&str> = run.tasks.iter().map(|task| task.name.as_str()).collect();
            parts.push(format!(
                "perhaps a `target_delimiter` or `until` of {}, whose files cannot be read any more",
                names.join(", ")
            ));
        }
    }
    parts
}

/// Values with the tasks that have them.
fn said(key: &str, tasks: &[Task], value: fn(&Task) -> Option<String>) -> Option<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for task in tasks {
        let Some(value) = value(task) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == value) {
            None => groups.push((value, vec![&task.name])),
            Some((_, names)) => names.push(&task.name),
        }
    }
    let group = |(value, names): &(String, Vec<&str>)| format!("{value} of {}", names.join(", "));
    let groups: Vec<String> = groups.iter().map(group).collect();
    (!groups.is_empty()).then(|| format!("{key} {}", groups.join(" and ")))
}

/// The kit's own scorers read no delimiter.
fn delimiter(task: &Task) -> Option<String> {
    let metric = ChoiceScorer::named(task.judged().as_str());
    let is_kit = matches!(metric, Some(ChoiceScorer::Kit | ChoiceScorer::KitFixed));
    let is_read = task.output_type == OutputType::MultipleChoice && !is_kit;
    (is_read && !task.target_delimiter.is_empty()).then(|| format!("{:?}", task.target_delimiter))
}

fn until(task: &Task) -> Option<String> {
    let is_written = task.judged().kind() == MetricKind::Text && !task.until.is_empty();
    is_written.then(|| format!("{:?}", task.until))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MERGE: &str = "merge_method: linear\nmodels:\n  - {model: a, parameters: {weight: 1}}\n";

    fn recipe(prompts: &str) -> Recipe {
        Recipe::from_yaml(&format!("{MERGE}{prompts}")).unwrap()
    }

    #[test]
    fn prompts_that_the_class_does_not_apply_are_refused() {
        let other = recipe("prompts:\n  logic: {num_fewshot: 4}\n  maths: {max_gen_toks: 9}\n");
        let failure = format!("{:?}", require_own_prompts(false, &other, 7).unwrap_err());
        for word in ["trial 7", "prompts for logic,", "--trial N", "--without-prompts"] {
            assert!(failure.contains(word), "{failure}");
        }
        assert!(require_own_prompts(true, &other, 7).is_ok());
        assert_eq!(changed(&recipe("prompts:\n  maths: {max_gen_toks: 9}\n")), [""; 0]);
        assert!(require_own_prompts(false, &recipe(""), 7).is_ok());
    }
}
