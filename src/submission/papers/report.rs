//! The report that goes with a submission, at most four pages: what the record knows, and places for what it does not.

use super::markdown::{NONE, interval, words_table};
use super::{ModelScores, RunFacts, SubmissionFacts};
use super::{choice, documents, licences, method, reproduce, results};
use crate::record::{Estimate, FrontRow};
use crate::units::Split;

/// Rows of tables that could grow.
const MOST_TASKS: usize = 12;
const MOST_MEMBERS: usize = 10;

/// REPORT.md. What a person has to write is marked `TODO`.
pub fn report(facts: &SubmissionFacts) -> String {
    let run = &facts.run;
    let sections = [
        ("Method", format!("{}\n{}", method::space(run), method::optimizer(run))),
        ("Results", results::other_prompts(&facts.only_in_the_run) + &found(run)),
        ("What the parts are worth", parts(run)),
        ("How the merge was chosen", choice::honesty(run)),
        ("Compute", method::effort(run)),
        ("Models, data and licences", terms(facts)),
        ("Reproducibility", reproduce::again(facts)),
        (
            "Discussion",
            "TODO: what worked, what did not, and what you would do with another day.\n".to_owned(),
        ),
    ];
    let numbered = sections
        .iter()
        .enumerate()
        .map(|(index, (title, text))| format!("\n## {}. {title}\n\n{text}", index + 1));
    opening(facts) + &numbered.collect::<String>()
}

fn opening(facts: &SubmissionFacts) -> String {
    let manifest = &facts.manifest;
    format!(
        "# {}: evolutionary search for a merge of {} models\n\n\
         TODO: team name\n\nTODO: names, affiliations and one address (at most five people)\n\n\
         TODO: an abstract of at most 100 words.\n\n\
         Submission `{}`: `{}`, trial {} of the run `{}`.\n",
        manifest.class,
        manifest.models.len(),
        manifest.method,
        facts.recipe.merge_method,
        manifest.trial,
        manifest.run,
    )
}

fn found(run: &RunFacts) -> String {
    let tasks = results::tasks(run, Split::Holdout, MOST_TASKS);
    let tasks = tasks.map_or(String::new(), |tasks| format!("\n{tasks}"));
    format!("{}{tasks}\n{}", results::standings(run), results::comparisons(run))
}

/// Baselines and front: what the record has of simpler ways.
fn parts(run: &RunFacts) -> String {
    let mut said = Vec::new();
    let best = best_parent(run);
    said.extend(best.map(|model| worth(run, model, "the best single model on selection")));
    let uniform = run.scores.iter().find(|model| model.name == "uniform");
    said.extend(uniform.map(|model| worth(run, model, "their average with equal weights")));
    let mut text: String = said.iter().map(|line| format!("- {line}\n")).collect();
    if text.is_empty() {
        text.push_str("The run has no baselines that were scored.\n");
    }
    text + &front(run)
}

/// By selection, so that the comparison on holdout is not with the luckiest there; of equals the first.
fn best_parent(run: &RunFacts) -> Option<&ModelScores> {
    let on_selection =
        |model: &ModelScores| model.on(Split::Selection).map(|scores| scores.objective.value);
    let parents = run.scores.iter().rev().filter(|model| {
        !model.is_exported && !["uniform", "winner"].contains(&model.name.as_str())
    });
    let scored = parents.filter_map(|model| Some((model, on_selection(model)?)));
    scored.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(model, _)| model)
}

fn worth(run: &RunFacts, model: &ModelScores, what: &str) -> String {
    let holdout = |model: &ModelScores| model.on(Split::Holdout).map(|scores| scores.objective);
    let own = run.exported().and_then(holdout);
    let theirs = holdout(model);
    let more = own.zip(theirs).map_or(String::new(), |(own, theirs)| {
        format!(
            "; this merge scores {:+.1} points against that",
            100.0 * (own.value - theirs.value)
        )
    });
    let name = if model.name == "uniform" { String::new() } else { format!(" (`{}`)", model.name) };
    format!("{}{name}: {} on holdout{more}.", capital(what), interval(theirs))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Members of the front by time; nothing where there is only one.
fn front(run: &RunFacts) -> String {
    let members: Vec<&FrontRow> = run.front.iter().filter(|row| row.member).collect();
    if members.len() < 2 {
        return "\nThe front of accuracy against time is one model: no other member costs less time or scores higher.\n".to_owned();
    }
    let exported = run.exported().map(|model| model.trial);
    let rows: Vec<Vec<String>> = (members.iter().take(MOST_MEMBERS))
        .map(|row| {
            let name = if Some(row.trial) == exported {
                "**this merge**"
            } else {
                row.name.as_deref().unwrap_or("")
            };
            let scores = [Split::Selection, Split::Holdout].map(|split| interval(row.on(split)));
            [
                vec![format!("trial {} {name}", row.trial).trim_end().to_owned()],
                scores.to_vec(),
                vec![time(row)],
            ]
            .concat()
        })
        .collect();
    let rest = match members.len() - rows.len() {
        0 => String::new(),
        rest => format!(" ({rest} slower ones left out)"),
    };
    format!(
        "\nThe front of accuracy against time (base model = 1){rest}:\n\n{}",
        words_table(&["", "selection", "holdout", "time"], &rows)
    )
}

fn time(row: &FrontRow) -> String {
    let Estimate { value, low, high } = row.time();
    match row.timing {
        Some(_) => format!("{value:.3} [{low:.3}, {high:.3}]"),
        None if value.is_finite() => format!("{value:.3}"),
        None => NONE.to_owned(),
    }
}

fn terms(facts: &SubmissionFacts) -> String {
    format!(
        "{}\n{}\n{}",
        licences::models(facts),
        licences::terms(facts),
        documents::in_short(&facts.run)
    )
}
