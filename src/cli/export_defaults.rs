//! What a submission takes over from its run where nothing is said.

use merge_search::recipe::Recipe;
use merge_search::record::RunManifest;
use merge_search::space::SearchSpace;
use merge_search::submission::competition::ChoiceScorer;
use merge_search::task::Task;
use merge_search::task::metric::MetricKind;

use super::{Failure, tasks, unchanged};

/// As the kit's examples have it.
const MAX_GEN_LEN: usize = 64;

/// Metrics of choices that no class scores by.
const OTHERS: [&str; 2] = ["acc_bytes", "acc_mutual_info"];

/// What the manifest calls the metric that is no metric of texts or choices.
const OF_REFERENCES: &str = "token_likelihood";

/// What choices are scored by: as asked, or else what the run's tasks are judged by, if they agree.
pub fn scorer(asked: Option<ChoiceScorer>, run: &RunManifest) -> Result<ChoiceScorer, Failure> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    let mut judged: Vec<&str> = run.tasks.iter().map(|task| task.metric.as_str()).collect();
    judged.retain(|metric| is_of_choices(metric));
    judged.sort_unstable();
    judged.dedup();
    match judged[..] {
        [metric] => ChoiceScorer::named(metric).ok_or_else(|| undecided(&judged)),
        _ => Err(undecided(&judged)),
    }
}

fn is_of_choices(metric: &str) -> bool {
    ChoiceScorer::named(metric).is_some() || OTHERS.contains(&metric)
}

fn undecided(judged: &[&str]) -> Failure {
    let valid = ChoiceScorer::ALL.map(ChoiceScorer::as_str).join(", ");
    let judged = match judged {
        [] => "the run has no tasks with choices".to_owned(),
        _ => format!("the run's tasks with choices are judged by {}", judged.join(", ")),
    };
    Failure::input(format!("{judged}, which does not say how the class scores choices"))
        .remedy(format!("say it with --scorer; valid: {valid}"))
}

/// New tokens of a text: as asked, or else what the run's tasks allow, if they agree.
pub fn max_gen_len(
    asked: Option<u32>,
    recipe: &Recipe,
    run: &RunManifest,
    tasks: impl FnOnce() -> Result<Vec<Task>, Failure>,
) -> Result<usize, Failure> {
    let is_of_texts = |metric: &str| !is_of_choices(metric) && metric != OF_REFERENCES;
    match asked {
        Some(tokens) => Ok(tokens as usize),
        None if run.tasks.iter().any(|task| is_of_texts(&task.metric)) => {
            Ok(agreed(&tasks()?, recipe).unwrap_or(MAX_GEN_LEN))
        }
        None => Ok(MAX_GEN_LEN),
    }
}

/// The run's tasks, unchanged.
pub fn tasks_as_scored(run: &RunManifest, space: &SearchSpace) -> Result<Vec<Task>, Failure> {
    let tasks = tasks::load(&space.tasks)?;
    unchanged::require_tasks(run, &tasks, space.docs, unchanged::AS_SCORED)?;
    Ok(tasks)
}

fn agreed(tasks: &[Task], recipe: &Recipe) -> Option<usize> {
    let of_texts = tasks.iter().filter(|task| task.judged().kind() == MetricKind::Text);
    let mut all = of_texts.map(|task| {
        let change = recipe.prompts.get(&task.name).and_then(|change| change.max_gen_toks);
        change.unwrap_or(task.prompt.max_gen_toks)
    });
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}
