//! Families of base models, by `model_type`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::loaded::Loaded;
use crate::rules::{Finding, Verdict};

/// `[models.family]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyRules {
    /// Who says so.
    pub source: String,
    /// Family → its `model_type`s; one that begins with a capital may also be what the names
    /// of its classes begin with. Without any,
    /// all are approved.
    #[serde(default)]
    pub approved: BTreeMap<String, Vec<String>>,
    /// Members of approved families that are not.
    #[serde(default)]
    pub excluded: Vec<Excluded>,
    /// Models that the organisers name.
    #[serde(default)]
    pub suggested: Vec<String>,
}

/// `T5 (not Flan-T5)`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    /// Of which family.
    pub family: String,
    /// In the name of the model or of what it was made from, in small letters.
    pub word: String,
}

const REMEDY: &str = "take experts of an approved base model";

pub(super) fn check(model: &Loaded<'_>, rules: &FamilyRules) -> Finding {
    let subject = model.subject();
    let Some(config) = &model.facts.config else {
        return Finding::new("family", subject, Verdict::Unknown, model.why_unknown())
            .remedy("download it, or give its `config` in a file with --evidence");
    };
    let Some(model_type) = kind(&config.value) else {
        let evidence = format!("{} has neither model_type nor architectures", config.place);
        return Finding::new("family", subject, Verdict::Unknown, evidence)
            .remedy("complete its config.json");
    };
    let evidence = format!("{model_type} ({})", config.place);
    let of_type = |types: &Vec<String>| types.iter().any(|it| names(&config.value, it));
    let family = rules.approved.iter().find(|(_, types)| of_type(types));
    let (verdict, evidence) = match family {
        None if rules.approved.is_empty() => (Verdict::Pass, suggestion(model, rules, &evidence)),
        None => {
            let valid: Vec<&str> = rules.approved.keys().map(String::as_str).collect();
            (Verdict::Fail, format!("{evidence}; approved are {}", valid.join(", ")))
        }
        Some((family, _)) => match excluded(model, rules, family) {
            Some(name) => (Verdict::Fail, format!("{evidence}: {family}, but not {name}")),
            None => (Verdict::Pass, format!("{evidence}: {family}")),
        },
    };
    Finding::new("family", subject, verdict, evidence).remedy(REMEDY)
}

fn kind(config: &Value) -> Option<&str> {
    let class = config.pointer("/architectures/0");
    config.get("model_type").or(class).and_then(Value::as_str)
}

/// Whether an entry of a family's list means this config.
fn names(config: &Value, entry: &str) -> bool {
    let class = config.pointer("/architectures/0").and_then(Value::as_str).unwrap_or_default();
    let is_class = entry.starts_with(|c: char| c.is_ascii_uppercase());
    config.get("model_type").and_then(Value::as_str) == Some(entry)
        || (is_class && class.starts_with(entry))
}

/// The name in the chain that rules the model out.
fn excluded(model: &Loaded<'_>, rules: &FamilyRules, family: &str) -> Option<String> {
    let words = rules.excluded.iter().filter(|it| it.family == family).map(|it| &it.word);
    let words: Vec<&String> = words.collect();
    let mut names = model.of.chain().map(|facts| &facts.id);
    let has_word = |name: &&String| words.iter().any(|word| name.to_lowercase().contains(*word));
    names.find(has_word).cloned()
}

/// Whether the organisers name the model, or one that it was made from.
fn suggestion(model: &Loaded<'_>, rules: &FamilyRules, evidence: &str) -> String {
    let mut ids = model.of.chain().map(|facts| &facts.id);
    match ids.find(|id| rules.suggested.contains(*id)) {
        Some(id) => format!("{evidence}; {id} is among the organisers' suggestions"),
        None => format!("{evidence}; any family is allowed"),
    }
}
