//! The models and on what terms they may be used.

use super::markdown::{NONE, listed, words_table};
use super::{HubLicence, SubmissionFacts};
use crate::submission::competition::SubmittedModel;

/// Where every model is, its licence and the digest of its weights.
pub(super) fn models(facts: &SubmissionFacts) -> String {
    let row = |(index, model): (usize, &SubmittedModel)| {
        let licence = of_parent(facts, index);
        vec![model.name.clone(), place(model), licence, format!("`{}`", model.sha256)]
    };
    let rows: Vec<Vec<String>> = facts.manifest.models.iter().enumerate().map(row).collect();
    words_table(&["model", "repository and commit", "licence", "SHA-256 of the weights"], &rows)
}

/// The model's and its adapter's.
fn of_parent(facts: &SubmissionFacts, index: usize) -> String {
    let own = facts.licences.parents.get(index).map_or(&[][..], Vec::as_slice);
    let words: Vec<String> =
        own.iter().map(|licence| licence.as_ref().map_or(NONE.to_owned(), in_words)).collect();
    match words.as_slice() {
        [] => NONE.to_owned(),
        [only] => only.clone(),
        [model, adapter, ..] => format!("{model}; adapter {adapter}"),
    }
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
    let because = match licences.because.as_str() {
        "" => String::new(),
        because => format!(" ({because})"),
    };
    let mut text = match &licences.result {
        Some(licence) => format!("The merged model is under {}{because}.", in_words(licence)),
        None => format!(
            "Which licence the merged model is under does not follow from its parents' by itself{because}."
        ),
    };
    let is_unknown = |index: usize| {
        let own = licences.parents.get(index);
        own.is_none_or(|own| own.is_empty() || own.iter().any(Option::is_none))
    };
    let unknown: Vec<&str> = (facts.manifest.models.iter().enumerate())
        .filter(|(index, _)| is_unknown(*index))
        .map(|(_, model)| model.name.as_str())
        .collect();
    if !unknown.is_empty() {
        text.push_str(&format!(
            " Of {} not every licence is known: read their pages before anything is published.",
            listed(&unknown)
        ));
    }
    text.push_str(" The terms of all parents apply to it.\n");
    for (index, obligation) in licences.obligations.iter().enumerate() {
        let head = match index {
            0 => "\nWhat that asks, in short words that are no advice of a lawyer's:\n\n",
            _ => "",
        };
        text.push_str(&format!("{head}- {obligation}\n"));
    }
    text
}

fn in_words(licence: &HubLicence) -> String {
    let name = match &licence.name {
        Some(name) if licence.id == "other" => name,
        _ => &licence.id,
    };
    match &licence.link {
        Some(link) if link.starts_with("http") => format!("[{name}]({link})"),
        _ => name.clone(),
    }
}
