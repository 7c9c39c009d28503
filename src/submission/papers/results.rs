//! The scores of the exported trial beside the baselines'.

use super::markdown::{NONE, interval, numbers_table, points, words_table};
use super::{ModelScores, RunFacts, SplitScores};
use crate::record::Estimate;
use crate::units::Split;

/// The objective of every model on every split.
pub(super) fn standings(run: &RunFacts) -> String {
    let all = Split::ALL.map(|split| run.manifest.docs(split).iter().sum::<u64>());
    let mut partly = false;
    let mut row = |model: &ModelScores| {
        let mut cells = vec![format!("{} (trial {})", shown(model), model.trial)];
        for (split, all) in Split::ALL.into_iter().zip(all) {
            let few = model.on(split).is_some_and(|scores| scores.documents < all);
            partly |= few;
            let mark = if few { "*" } else { "" };
            cells.push(interval(model.on(split).map(|scores| scores.objective)) + mark);
        }
        cells
    };
    let rows: Vec<Vec<String>> = run.scores.iter().map(&mut row).collect();
    let table = numbers_table(&heads(), &rows);
    let note = if partly { "\n\\* on a part of the documents.\n" } else { "" };
    let plain = if has_own_objective(run) { plain_means(run) } else { String::new() };
    format!(
        "The {} of the tasks' scores, ×100, with 95 % intervals. Only the holdout column was used for no choice.\n\n{table}{note}{plain}",
        run.manifest.objective
    )
}

/// What a reader of the scores must know first; nothing where the class asks as the run did.
pub(super) fn other_prompts(only_in_the_run: &[String]) -> String {
    match only_in_the_run {
        [] => String::new(),
        parts => format!(
            "The scores were measured under other prompts than the class has, which reads `input` as it is: the run had {}. The class may score \
             differently.\n\n",
            parts.join("; ")
        ),
    }
}

fn heads() -> Vec<String> {
    let splits = Split::ALL.iter().map(|split| split.as_str().to_owned());
    [String::new()].into_iter().chain(splits).collect()
}

/// The exported model's name stands out.
fn shown(model: &ModelScores) -> String {
    if model.is_exported { format!("**{}**", model.name) } else { model.name.clone() }
}

/// Whether what the run ranks by is something else than the plain geometric mean.
fn has_own_objective(run: &RunFacts) -> bool {
    let scores = run.scores.iter().flat_map(|model| model.splits.iter().flatten());
    scores.into_iter().any(|score| score.objective != score.geometric_mean)
}

fn plain_means(run: &RunFacts) -> String {
    let row = |model: &ModelScores| {
        let on = |split| interval(model.on(split).map(|scores| scores.geometric_mean));
        [vec![shown(model)], Split::ALL.map(on).to_vec()].concat()
    };
    let rows: Vec<Vec<String>> = run.scores.iter().map(row).collect();
    let table = numbers_table(&heads(), &rows);
    format!("\nThe plain geometric mean of the same scores:\n\n{table}")
}

/// Every task on `split`, a column per model; nothing where the exported model was not scored there.
pub(super) fn tasks(run: &RunFacts, split: Split, most: usize) -> Option<String> {
    let exported = run.exported()?.on(split)?;
    let models: Vec<(&ModelScores, &SplitScores)> =
        run.scores.iter().filter_map(|model| Some((model, model.on(split)?))).collect();
    let heads: Vec<String> = ["task (metric)".to_owned()]
        .into_iter()
        .chain(models.iter().map(|(model, _)| shown(model)))
        .collect();
    let chosen = least(&exported.tasks, most);
    let row = |task: &usize| {
        let entry = run.manifest.tasks.get(*task);
        let name = entry.map(|entry| format!("{} ({})", entry.name, entry.metric));
        let cells = models.iter().map(|(model, scores)| {
            let score = scores.tasks.get(*task).copied();
            if model.is_exported { interval(score) } else { value(score) }
        });
        [name.unwrap_or_default()].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = chosen.iter().map(row).collect();
    let left_out = match exported.tasks.len() - chosen.len() {
        0 => String::new(),
        count => format!(", the {} lowest; README.md has the other {count}", chosen.len()),
    };
    let table = numbers_table(&heads, &rows);
    Some(format!("Each task on {split}, ×100{left_out}:\n\n{table}"))
}

/// Positions of the lowest scores, at most so many, in the tasks' order.
fn least(scores: &[Estimate], most: usize) -> Vec<usize> {
    let mut positions: Vec<(usize, f64)> =
        scores.iter().map(|score| score.value).enumerate().collect();
    positions.sort_by(|a, b| a.1.total_cmp(&b.1));
    positions.truncate(most);
    let mut chosen: Vec<usize> = positions.into_iter().map(|(position, _)| position).collect();
    chosen.sort_unstable();
    chosen
}

fn value(score: Option<Estimate>) -> String {
    score.map_or(NONE.to_owned(), |score| format!("{:.1}", 100.0 * score.value))
}

/// The exported trial against every baseline.
pub(super) fn comparisons(run: &RunFacts) -> String {
    if run.comparisons.is_empty() {
        return no_comparisons(run);
    }
    let rows: Vec<Vec<String>> = (run.comparisons.iter())
        .map(|paired| {
            let verdict = match (paired.significant, paired.difference.value > 0.0) {
                (false, _) => "could be chance",
                (true, true) => "better",
                (true, false) => "worse",
            };
            vec![
                format!("this merge − {}", paired.baseline),
                points(paired.difference),
                format!("{:.4}", paired.adjusted_p_value),
                verdict.to_owned(),
            ]
        })
        .collect();
    format!(
        "Paired differences on holdout, the same documents for both, ×100 (p-values after Holm's correction for {} baselines):\n\n{}",
        rows.len(),
        words_table(&["", "difference", "p", ""], &rows)
    )
}

fn no_comparisons(run: &RunFacts) -> String {
    let exported = run.exported().map(|model| model.trial);
    let winner = run.choice.as_ref().map(|choice| choice.winner);
    match winner {
        Some(winner) if Some(winner) != exported => format!(
            "The run compared its winner, trial {winner}, with the baselines document by document, not this trial.\n"
        ),
        Some(_) => "The run has no paired comparisons with the baselines.\n".to_owned(),
        None => "The run has not finished: nothing was compared on holdout.\n".to_owned(),
    }
}
