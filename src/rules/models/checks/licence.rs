//! Licences along the chain of what a model was made from.

use serde::Deserialize;

use super::loaded::why_unknown;
use crate::rules::models::{Licence, ModelFacts, RepositoryFacts};
use crate::rules::{Finding, Verdict};

/// `[models.licence]`. Words are the hub's, a `*` at the end stands for anything.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenceRules {
    /// Who says so.
    pub source: String,
    /// Pass; what is in neither list is to be discussed with the organisers, or asks something of its user.
    pub approved: Vec<String>,
    /// Fail.
    pub refused: Vec<String>,
}

/// The verdict is the worst of the chain's.
pub(super) fn check(model: &ModelFacts, rules: &LicenceRules) -> Finding {
    let each: Vec<(Verdict, String)> = model.chain().map(|facts| of_one(facts, rules)).collect();
    let broken = model
        .cycles
        .iter()
        .map(|cycle| (Verdict::Unknown, format!("the chain of base models does not end: {cycle}")));
    let each: Vec<(Verdict, String)> = each.into_iter().chain(broken).collect();
    let verdict = each.iter().map(|(verdict, _)| *verdict).max().unwrap_or(Verdict::Unknown);
    let words: Vec<String> = each.into_iter().map(|(_, word)| word).collect();
    let strictest = model.chain().filter_map(licence).max_by_key(Licence::class);
    let summary = match strictest {
        Some(licence) if words.len() > 1 => format!("strictest of the chain {}: ", licence.word()),
        _ => String::new(),
    };
    let subject = format!("{}: {}", model.name, model.model.id);
    Finding::new("licence", subject, verdict, format!("{summary}{}", words.join("; ")))
        .remedy(remedy(model, verdict))
}

/// As known: a card without one says so.
fn licence(facts: &RepositoryFacts) -> Option<Licence> {
    let told = facts.licence.as_ref().map(|licence| licence.value.clone());
    told.or_else(|| facts.card.is_some().then(|| Licence::of(Licence::MISSING)))
}

fn of_one(facts: &RepositoryFacts, rules: &LicenceRules) -> (Verdict, String) {
    let Some(licence) = licence(facts) else {
        return (
            Verdict::Unknown,
            format!("{}: licence not known ({})", facts.id, why_unknown(facts)),
        );
    };
    let verdict = if licence.is_one_of(&rules.approved) {
        Verdict::Pass
    } else if licence.is_one_of(&rules.refused) {
        Verdict::Fail
    } else {
        Verdict::Warn
    };
    let place = facts.licence.as_ref().map(|licence| &licence.place).or(facts.card.as_ref());
    let name = licence.name.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
    let place = place.map_or("", String::as_str);
    (verdict, format!("{} {}{name} ({place})", facts.id, licence.word()))
}

fn remedy(model: &ModelFacts, verdict: Verdict) -> String {
    let is_llama = |it: Licence| it.word().starts_with("llama");
    if verdict == Verdict::Unknown {
        "read the model's page and give its `license` and `base_model` in a file with --evidence"
            .to_owned()
    } else if verdict == Verdict::Warn && model.chain().filter_map(licence).any(is_llama) {
        "have the use approved by Meta on the model's page, set HF_AUTH_TOKEN, and keep to the obligations".to_owned()
    } else {
        "read the licence and ask the organisers, or take another model".to_owned()
    }
}
