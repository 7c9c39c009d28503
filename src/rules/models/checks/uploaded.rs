//! Days of commits.

use serde::Deserialize;

use super::loaded::Loaded;
use crate::rules::models::{ModelFacts, Told};
use crate::rules::{Finding, Verdict};

/// `[models.uploaded_before]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadRules {
    /// Who says so.
    pub source: String,
    /// The first day that is too late by the wording, `2024-05-31`; that day itself is doubtful.
    pub day: String,
    /// Why a later merge of earlier models may do, as a case that was accepted.
    pub merges: Option<String>,
}

pub(super) fn check(model: &Loaded<'_>, rules: &UploadRules) -> Finding {
    let subject = model.subject();
    let Some(Told { value: day, place }) = &model.facts.committed else {
        let why = match model.facts.local {
            true => format!("the folder {} was not uploaded", model.facts.id),
            false => format!(
                "no day of {} is known here ({})",
                model.facts.reference(),
                model.why_unknown()
            ),
        };
        return Finding::new("uploaded_before", subject, Verdict::Unknown, why).remedy(
            "check again online, or give `revision` and `committed` in a file with --evidence",
        );
    };
    let evidence = format!("committed on {day} ({place}), allowed before {}", rules.day);
    let (verdict, evidence) = match day.as_str().cmp(rules.day.as_str()) {
        std::cmp::Ordering::Less => (Verdict::Pass, evidence),
        std::cmp::Ordering::Equal => (Verdict::Warn, format!("{evidence}: on the day itself")),
        std::cmp::Ordering::Greater => {
            match rules.merges.as_ref().filter(|_| is_early_merge(model.of, rules)) {
                Some(case) => {
                    (Verdict::Warn, format!("{evidence}; a merge of earlier models: {case}"))
                }
                None => (Verdict::Fail, evidence),
            }
        }
    };
    Finding::new("uploaded_before", subject, verdict, evidence)
        .remedy("take a revision or a model from before that day")
}

/// A model that says of itself that it is a merge, of models that were all there in time.
fn is_early_merge(model: &ModelFacts, rules: &UploadRules) -> bool {
    let is_merge = model.model.tags.iter().any(|tag| tag == "merge" || tag == "mergekit");
    let mut days = model.ancestors.iter().map(|ancestor| &ancestor.facts.committed);
    let in_time =
        |day: &Option<Told<String>>| day.as_ref().is_some_and(|day| day.value < rules.day);
    is_merge && !model.ancestors.is_empty() && days.all(in_time)
}
