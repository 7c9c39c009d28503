//! The models and on what terms they may be used.

use super::markdown::{NONE, table_of};
use super::{HubLicence, SubmissionFacts};
use crate::submission::competition::SubmittedModel;

/// Where every model is, its licence and the digest of its weights.
pub(super) fn models(facts: &SubmissionFacts) -> String {
    let licence = |index: usize| facts.licences.parents.get(index).and_then(Option::as_ref);
    let row = |(index, model): (usize, &SubmittedModel)| {
        let licence = licence(index).map_or(NONE.to_owned(), in_words);
        vec![model.name.clone(), place(model), licence, format!("`{}`", model.sha256)]
    };
    let rows: Vec<Vec<String>> = facts.manifest.models.iter().enumerate().map(row).collect();
    table_of(&["model", "repository and commit", "licence", "SHA-256 of the weights"], &rows)
}

fn place(model: &SubmittedModel) -> String {
    let own = format!("`{}@{}`", model.repository, model.revision);
    match (&model.adapter, &model.adapter_revision) {
        (Some(adapter), Some(revision)) => format!("{own} with adapter `{adapter}@{revision}`"),
        (Some(adapter), None) => format!("{own} with adapter `{adapter}`"),
        (None, _) => own,
    }
}

/// The merged model's licence and what it asks for.
pub(super) fn terms(facts: &SubmissionFacts) -> String {
    let licences = &facts.licences;
    let mut text = match &licences.result {
        Some(licence) => format!("The merged model is under {}.", in_words(licence)),
        None => {
            "What licence the merged model is under does not follow from its parents' by itself."
                .to_owned()
        }
    };
    let unknown: Vec<&str> = (facts.manifest.models.iter().enumerate())
        .filter(|(index, _)| licences.parents.get(*index).is_none_or(Option::is_none))
        .map(|(_, model)| model.name.as_str())
        .collect();
    if !unknown.is_empty() {
        text.push_str(&format!(
            " No licence is known for {}: read the model's page before anything is published.",
            unknown.join(", ")
        ));
    }
    text.push_str(" The terms of all parents apply to it.\n");
    for (index, obligation) in licences.obligations.iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        text.push_str(&format!("{gap}- {obligation}\n"));
    }
    text
}

pub(super) fn in_words(licence: &HubLicence) -> String {
    let name = match &licence.name {
        Some(name) if licence.id == "other" => name,
        _ => &licence.id,
    };
    match &licence.link {
        Some(link) if link.starts_with("http") => format!("[{name}]({link})"),
        _ => name.clone(),
    }
}
