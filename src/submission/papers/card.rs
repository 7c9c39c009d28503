//! The model card of a competition's submission.

use super::markdown::{block, counted};
use super::plain_card::readers;
use super::{
    HubLicence, SubmissionFacts, choice, documents, hand_in, licences, reproduce, results,
};
use crate::units::Split;

/// README.md of a submission, with the front matter that the hub reads.
pub fn competition_card(facts: &SubmissionFacts) -> String {
    let sections = [
        ("Results", found(facts)),
        ("Models", licences::models(facts)),
        ("Licence", licences::terms(facts)),
        ("Recipe", recipe(facts)),
        ("Documents that were read", documents::sources(&facts.run)),
        ("Making it again", reproduce::again(facts)),
        ("Handing it in", hand_in::commands(facts)),
    ];
    let sections: String =
        sections.iter().map(|(title, text)| format!("\n## {title}\n\n{text}")).collect();
    format!("{}\n{}{sections}", front_matter(facts), opening(facts))
}

fn front_matter(facts: &SubmissionFacts) -> String {
    let mut lines = vec!["---".to_owned()];
    lines.extend(facts.licences.result.iter().flat_map(licence));
    lines.push("library_name: transformers".to_owned());
    lines.extend(["tags:", "- merge", "- mergekit", "- merge-search"].map(str::to_owned));
    lines.push("base_model:".to_owned());
    let mut named: Vec<(&str, &str)> = Vec::new();
    for model in &facts.manifest.models {
        named.push((&model.repository, &model.revision));
        named.extend(model.adapter.as_deref().zip(model.adapter_revision.as_deref()));
    }
    for (index, (repository, revision)) in named.iter().enumerate() {
        if named.iter().take(index).all(|other| other != &(*repository, *revision)) {
            lines.push(format!("- {} # {revision}", scalar(repository)));
        }
    }
    lines.push("base_model_relation: merge".to_owned());
    lines.push("---\n".to_owned());
    lines.join("\n")
}

fn licence(licence: &HubLicence) -> Vec<String> {
    let mut lines = vec![format!("license: {}", scalar(&licence.id))];
    if licence.id == "other" {
        lines.extend(licence.name.iter().map(|name| format!("license_name: {}", scalar(name))));
        lines.extend(licence.link.iter().map(|link| format!("license_link: {}", scalar(link))));
    }
    lines
}

/// As YAML takes it for one text.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let word = !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .contains(&text.to_ascii_lowercase().as_str());
    match begins && word && text.chars().all(plain) {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

fn opening(facts: &SubmissionFacts) -> String {
    let manifest = &facts.manifest;
    format!(
        "# {}: a merge found by merge-search\n\n\
         Trial {} of the run `{}`: `{}` of {}. There are no weights in this folder: the class makes them in {} from the models below when \
         it runs, one tensor after the other, and scores choices by `{}`.\n",
        manifest.class,
        manifest.trial,
        manifest.run,
        facts.recipe.merge_method,
        counted(manifest.models.len(), "model"),
        manifest.dtype,
        manifest.scorer,
    )
}

fn found(facts: &SubmissionFacts) -> String {
    let run = &facts.run;
    let mut text = results::standings(run);
    for split in [Split::Holdout, Split::Selection, Split::Search] {
        let tasks = results::tasks(run, split, usize::MAX);
        text.extend(tasks.map(|tasks| format!("\n{tasks}")));
    }
    let other = results::other_prompts(&facts.only_in_the_run);
    format!("{other}{text}\n{}\n{}", results::comparisons(run), choice::honesty(run))
}

fn recipe(facts: &SubmissionFacts) -> String {
    format!("{}\n{}", readers(&facts.recipe), block("yaml", &facts.recipe.to_yaml()))
}
