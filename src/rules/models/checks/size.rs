//! Numbers of parameters, by the headers of the weight files and by the config; sizes of files.

use serde::Deserialize;

use super::loaded::Loaded;
use crate::rules::models::{RepositoryFacts, Told, grouped};
use crate::rules::{Finding, Verdict};
use crate::units::Bytes;

/// `[models.size]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeRules {
    /// Who says so.
    pub source: String,
    /// Parameters of each model.
    pub params_max: u64,
    /// Share of `params_max` by which it may be exceeded with a warning: `8B` is said of models of 8.03 billion.
    pub tolerance: f64,
    /// Models above it that the organisers suggest themselves.
    #[serde(default)]
    pub allow_listed: Vec<AllowListed>,
}

/// A model that is allowed whatever its size. Fine-tuned ones are as large: they are told by type and number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowListed {
    /// `owner/name`.
    pub id: String,
    /// Its `model_type`.
    pub model_type: String,
    /// Its parameters.
    pub parameters: u64,
    /// Who allows it.
    pub source: String,
}

/// `[models.bytes]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BytesRules {
    /// Who says so.
    pub source: String,
    /// Of the weight files of each model, if the rule is meant so: a larger one is a warning.
    pub max: u64,
}

/// Share by which headers and config may differ: heads that a checkpoint carries along.
const SAME: f64 = 0.005;

/// Headers first, the config where there are none.
fn parameters(facts: &RepositoryFacts) -> Option<Told<u64>> {
    facts.parameters.clone().or_else(|| facts.parameters_by_config())
}

pub(super) fn check(model: &Loaded<'_>, rules: &SizeRules) -> Finding {
    let subject = model.subject();
    let Some(Told { value, place }) = parameters(model.facts) else {
        return Finding::new("size", subject, Verdict::Unknown, model.why_unknown())
            .remedy("download it, or give its `parameters` in a file with --evidence");
    };
    let limit = rules.params_max as f64 * (1.0 + rules.tolerance);
    let of_limit =
        format!("{} parameters ({place}), allowed {}", grouped(value), grouped(rules.params_max));
    let listed = |it: &&AllowListed| {
        it.parameters == value && model.facts.model_type() == Some(it.model_type.as_str())
    };
    let (verdict, evidence) = match rules.allow_listed.iter().find(listed) {
        _ if value <= rules.params_max => (Verdict::Pass, of_limit),
        Some(it) => (Verdict::Warn, format!("{of_limit}; as many as {} ({})", it.id, it.source)),
        None if value as f64 <= limit => (
            Verdict::Warn,
            format!("{of_limit}, with a tolerance of {} %", rules.tolerance * 100.0),
        ),
        None => (Verdict::Fail, of_limit),
    };
    Finding::new("size", subject, verdict, evidence).remedy(
        "take a smaller model, or ask the organisers whether this one counts as within the limit",
    )
}

/// Headers against config, where both are known; a difference is worth a word.
pub(super) fn compare(model: &Loaded<'_>) -> Option<Finding> {
    let (headers, config) = (model.facts.parameters.as_ref()?, model.facts.parameters_by_config()?);
    let difference = headers.value.abs_diff(config.value) as f64 / config.value.max(1) as f64;
    let verdict = if difference > SAME { Verdict::Warn } else { Verdict::Pass };
    let evidence = format!(
        "{} parameters ({}), {} by {}: {:.2} % apart",
        grouped(headers.value),
        headers.place,
        grouped(config.value),
        config.place,
        difference * 100.0
    );
    let finding = Finding::new("parameters", model.subject(), verdict, evidence);
    Some(finding.remedy(
        "see whether weight files are missing, or have tensors that the model does not use",
    ))
}

/// All that a router over these models could keep in memory.
pub(super) fn together(all: &[Loaded<'_>]) -> Option<Finding> {
    if all.len() < 2 {
        return None;
    }
    let counts: Vec<u64> =
        all.iter().filter_map(|it| parameters(it.facts)).map(|it| it.value).collect();
    let sum = counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
    let evidence = format!(
        "{} parameters in {} of {} repositories: what a router between all of them keeps at most; no rule limits it, but space \
         is judged",
        grouped(sum),
        counts.len(),
        all.len()
    );
    let verdict = if counts.len() == all.len() { Verdict::Pass } else { Verdict::Unknown };
    Some(Finding::new("size", "all models together", verdict, evidence))
}

pub(super) fn check_bytes(model: &Loaded<'_>, rules: &BytesRules) -> Finding {
    let subject = model.subject();
    let Some(bytes) = &model.facts.bytes else {
        return Finding::new("bytes", subject, Verdict::Unknown, model.why_unknown())
            .remedy("download it, or give its `bytes` in a file with --evidence");
    };
    let verdict = if bytes.value <= rules.max { Verdict::Pass } else { Verdict::Warn };
    let evidence = format!(
        "{} bytes = {} ({}), allowed {}",
        grouped(bytes.value),
        Bytes(bytes.value),
        bytes.place,
        grouped(rules.max)
    );
    Finding::new("bytes", subject, verdict, evidence)
        .remedy("ask whether the limit is meant in bytes of files or in parameters")
}
