//! What the parents' licences ask of whoever publishes a merge of them, and which licence the merge gets.
//!
//! In short words, each with the place in the licence's text: no advice of a lawyer's.

use std::collections::{BTreeMap, BTreeSet};

use super::{Licence, LicenceClass, ModelFacts};

/// What one licence asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// The hub's word for the licence, `unknown` where none is known.
    pub licence: String,
    /// `owner/name` of the models under it, parents of parents too; sorted.
    pub models: Vec<String>,
    /// One sentence or more.
    pub text: String,
    /// Where the licence says so.
    pub source: String,
}

/// The licence of a merge, as the front matter of its card has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedLicence {
    /// `license`: the hub's word.
    pub license: String,
    /// `license_name`, where `license` is `other`.
    pub license_name: Option<String>,
    /// `license_link`, where one of the parents' cards has it.
    pub license_link: Option<String>,
    /// Why, in a sentence.
    pub because: String,
}

const UNKNOWN: &str = "unknown";

/// Of all models and what they were made from; the most demanding licence first.
pub fn obligations(models: &[ModelFacts]) -> Vec<Obligation> {
    let mut by_licence: Vec<(String, Option<Licence>, BTreeSet<String>)> = Vec::new();
    for facts in models.iter().flat_map(ModelFacts::chain) {
        let licence = facts.licence.as_ref().map(|licence| licence.value.clone());
        let word = licence.as_ref().map_or_else(|| UNKNOWN.to_owned(), Licence::word);
        match by_licence.iter_mut().find(|(known, ..)| *known == word) {
            Some((.., ids)) => _ = ids.insert(facts.id.clone()),
            None => by_licence.push((word, licence, BTreeSet::from([facts.id.clone()]))),
        }
    }
    by_licence.sort_by_key(|(word, licence, _)| {
        (
            std::cmp::Reverse(licence.as_ref().map_or(LicenceClass::Missing, Licence::class)),
            word.clone(),
        )
    });
    let obligation = |(word, licence, ids): (String, Option<Licence>, BTreeSet<String>)| {
        let (text, source) = demands(&word, licence.as_ref());
        Obligation { licence: word, models: ids.into_iter().collect(), text, source }
    };
    by_licence.into_iter().map(obligation).collect()
}

/// The strictest licence where one contains what the others ask; `other` where several have to be kept side by side, or one is
/// not known.
pub fn merged_licence(models: &[ModelFacts]) -> MergedLicence {
    let mut demanding: BTreeMap<String, Licence> = BTreeMap::new();
    let mut permissive: BTreeMap<String, Licence> = BTreeMap::new();
    let mut unknown: BTreeSet<&str> = BTreeSet::new();
    for facts in models.iter().flat_map(ModelFacts::chain) {
        match facts.licence.as_ref().map(|licence| licence.value.clone()) {
            None => _ = unknown.insert(&facts.id),
            Some(it) if it.class() == LicenceClass::Permissive => {
                permissive.insert(it.word(), it);
            }
            Some(it) => _ = demanding.insert(it.word(), it),
        }
    }
    if !unknown.is_empty() || (demanding.is_empty() && permissive.is_empty()) {
        let ids: Vec<&str> = unknown.into_iter().collect();
        return several(UNKNOWN, format!("the licence of {} is not known", ids.join(", ")));
    }
    let words: Vec<String> = demanding.keys().cloned().collect();
    match words.as_slice() {
        [] => of_permissive(&permissive),
        [word] => {
            let because = match permissive.is_empty() {
                true => format!("all parents are under {word}"),
                false => {
                    format!("{word} asks more than the other parents' licences, whose notices stay")
                }
            };
            demanding
                .remove(word)
                .map_or_else(|| several(word, because.clone()), |it| one(&it, because.clone()))
        }
        words => several(
            &words.join("-and-"),
            format!("parents are under {}: all of them apply", words.join(" and ")),
        ),
    }
}

/// Apache-2.0 asks for all that MIT and BSD do.
fn of_permissive(licences: &BTreeMap<String, Licence>) -> MergedLicence {
    let words: Vec<&str> = licences.keys().map(String::as_str).collect();
    match (words.as_slice(), licences.get("apache-2.0")) {
        ([word], _) => one(&Licence::of(word), format!("all parents are under {word}")),
        (words, Some(apache)) => {
            let because = format!("parents are under {}; their notices stay", words.join(" and "));
            one(apache, because)
        }
        (words, None) => {
            several(&words.join("-and-"), format!("parents are under {}", words.join(" and ")))
        }
    }
}

fn one(licence: &Licence, because: String) -> MergedLicence {
    let word = licence.word();
    let license_name = licence.name.clone().filter(|_| word == "other");
    MergedLicence { license: word, license_name, license_link: licence.link.clone(), because }
}

fn several(name: &str, because: String) -> MergedLicence {
    let (license, license_name) = ("other".to_owned(), Some(name.to_owned()));
    MergedLicence { license, license_name, license_link: None, because }
}

fn demands(word: &str, licence: Option<&Licence>) -> (String, String) {
    let (text, source) = match licence.map(Licence::class) {
        Some(LicenceClass::Llama) => return llama(word),
        Some(LicenceClass::Permissive) => permissive(word),
        Some(LicenceClass::ShareAlike) => (
            "Publish the merge under the same licence, name the authors and say what was changed.",
            "section on share-alike (CC BY-SA 3 b) or copyleft of the licence",
        ),
        Some(LicenceClass::Rail) => (
            "Pass on the licence with its list of restricted uses as binding terms for whoever gets the merge, keep the notices \
             and say that files were changed.",
            "RAIL licence, paragraphs 4 and 5 and Attachment A",
        ),
        Some(LicenceClass::Gemma) => (
            "Pass on a copy of the Gemma Terms of Use and its use restrictions as binding terms, say in changed files that they \
             were changed, and add a text file `Notice`: \"Gemma is provided under and subject to the Gemma Terms of Use found \
             at ai.google.dev/gemma/terms\".",
            "Gemma Terms of Use, section 3.1",
        ),
        Some(LicenceClass::NonCommercial) => (
            "Use and pass on the merge for non-commercial purposes only, name the authors, link the licence and say what was \
             changed; a licence with -sa asks for itself on the merge, one with -nd forbids passing on what was changed.",
            "Creative Commons BY-NC 4.0, sections 2 a 1 and 3 a",
        ),
        Some(LicenceClass::Other) => (
            "The licence is the authors' own: read it on the models' pages before the merge is published.",
            "`license: other` on the models' cards",
        ),
        Some(LicenceClass::Missing) | None => (
            "No licence is known, so nothing is allowed yet: ask the authors before the merge is published.",
            "no `license` was found on the models' cards",
        ),
    };
    (text.to_owned(), source.to_owned())
}

fn permissive(word: &str) -> (&'static str, &'static str) {
    match word {
        "apache-2.0" => (
            "Pass on a copy of the Apache License, keep copyright notices and the NOTICE file where there is one, and say that \
             the weights were changed.",
            "Apache License 2.0, section 4",
        ),
        "cc-by-2.0" | "cc-by-3.0" | "cc-by-4.0" | "odc-by" => (
            "Name the authors, link the licence and say what was changed.",
            "section on attribution (CC BY 4.0: 3 a)",
        ),
        "cc0-1.0" | "unlicense" => ("Nothing is asked.", "the licence's waiver"),
        _ => (
            "Pass on the copyright notice and the text of the licence.",
            "the licence's one condition (MIT) or clause 1 (BSD)",
        ),
    }
}

/// Meta's community licences. From 3 on they ask for a line on the model's page and for the name.
fn llama(word: &str) -> (String, String) {
    let version = word.trim_start_matches("llama");
    let (product, licence) = match version {
        "2" => ("Llama 2".to_owned(), "LLAMA 2 Community License".to_owned()),
        "3" => ("Meta Llama 3".to_owned(), "Meta Llama 3 Community License".to_owned()),
        _ => (format!("Llama {version}"), format!("Llama {version} Community License")),
    };
    let (built, name) = match version {
        "2" => ("", ""),
        "3" => (
            "Show \"Built with Meta Llama 3\" on the merge's page. ",
            "Begin its name with \"Llama 3\". ",
        ),
        _ => ("Show \"Built with Llama\" on the merge's page. ", "Begin its name with \"Llama\". "),
    };
    let models = match version {
        "2" | "3" => "Do not use the models or their outputs to improve other language models. ",
        _ => "",
    };
    let text = format!(
        "{built}{name}Pass on a copy of the agreement and a text file `Notice`: \"{product} is licensed under the {licence}, \
         Copyright (c) Meta Platforms, Inc. All Rights Reserved.\" {models}Keep to the Acceptable Use Policy; above 700 million \
         monthly users a licence has to be asked for."
    );
    (text, format!("{licence} Agreement, section 1 b and section 2"))
}
