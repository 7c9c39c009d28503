//! What was searched, and how.

use super::RunFacts;
use super::markdown::{counted, listed, words_table};

/// Models, merge methods and genes.
pub(super) fn space(run: &RunFacts) -> String {
    let genes: usize = run.genes.iter().map(|group| group.count).sum();
    let rows: Vec<Vec<String>> = (run.genes.iter())
        .map(|group| vec![group.parameter.clone(), group.count.to_string(), group.values.clone()])
        .collect();
    let table = match rows.is_empty() {
        true => String::new(),
        false => format!(":\n\n{}", words_table(&["parameter", "genes", "values"], &rows)),
    };
    let end = if table.is_empty() { ".\n" } else { "" };
    format!(
        "The search space `{}` merges a base model and {} ({}) by {}. A candidate is {}{table}{end}",
        run.space,
        counted(run.experts.len(), "expert"),
        listed(&run.experts),
        listed(&run.methods),
        counted(genes, "gene"),
    )
}

/// The optimizer and all that it was told.
pub(super) fn optimizer(run: &RunFacts) -> String {
    let settings = &run.manifest.optimizer;
    let mut said = vec![format!("population {}", settings.population)];
    said.extend(settings.sigma.map(|sigma| format!("initial step {sigma} of each gene's range")));
    let word = |what: &str, value: &str| {
        (!value.is_empty() && value != "none").then(|| format!("{what} {value}"))
    };
    said.extend(word("covariance", &settings.covariance));
    said.extend(word("restarts", &settings.restarts));
    let flags = [
        (settings.active, "active update"),
        (settings.coarse_to_fine, "genes tied at first"),
        (settings.surrogate, "a model of all scores recommends finalists too"),
    ];
    said.extend(flags.iter().filter(|(on, _)| *on).map(|(_, what)| (*what).to_owned()));
    if !settings.warm_start.is_empty() {
        said.push(format!("started from {}", counted(settings.warm_start.len(), "given point")));
    }
    format!(
        "Optimizer: `{}` ({}), seed {}. Every candidate is merged in memory and scored by log-likelihood or generation on the search documents; what is maximised is the {} of {}.{}\n",
        settings.kind,
        said.join(", "),
        run.manifest.seed.0,
        run.manifest.objective,
        listed(&judged(run)),
        racing(run)
    )
}

fn judged(run: &RunFacts) -> Vec<String> {
    let tasks = run.manifest.tasks.iter();
    tasks.map(|task| format!("{} ({})", task.name, task.metric)).collect()
}

fn racing(run: &RunFacts) -> String {
    let Some(racing) = run.manifest.optimizer.racing else {
        return " Every candidate saw the whole search split.".to_owned();
    };
    format!(
        " Candidates of a generation race: all see {:.0} % of its {} to {} documents per task, the best {:.0} % the rest.",
        100.0 * racing.first_share,
        racing.least_docs,
        racing.most_docs,
        100.0 * racing.keep_share
    )
}

/// Budget, candidates, time and machine.
pub(super) fn effort(run: &RunFacts) -> String {
    let effort = &run.effort;
    let budget = &run.manifest.budget;
    let limits: Vec<String> =
        [budget.seconds.map(duration), budget.trials.map(|trials| format!("{trials} candidates"))]
            .into_iter()
            .flatten()
            .collect();
    let limits = if limits.is_empty() { "none".to_owned() } else { limits.join(" or ") };
    format!(
        "Budget: {limits}. {} ({} infeasible) and {} scored on them, in {} with {} on the device `{}`; highest resident memory {}. Documents scored for baselines and finalists come on top. What hardware it was, the record does not say: TODO.\n",
        counted(effort.candidates, "candidate"),
        effort.infeasible,
        counted(effort.documents, "document"),
        duration(effort.elapsed.0),
        counted(run.manifest.optimizer.workers as usize, "worker"),
        run.manifest.device,
        effort.peak,
    )
}

/// In the largest unit that leaves no less than one and a half of it.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 5400.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 90.0 => format!("{:.1} min", s / 60.0),
        s => format!("{s:.0} s"),
    }
}
