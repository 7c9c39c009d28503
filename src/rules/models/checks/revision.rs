//! That every model is pinned to a commit, and to one only.

use serde::Deserialize;

use super::loaded::Loaded;
use crate::hub;
use crate::rules::models::evidence::is_commit;
use crate::rules::{Finding, Verdict};

/// `[models.revision]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisionRules {
    /// Who says so.
    pub source: String,
}

pub(super) fn check(model: &Loaded<'_>) -> Finding {
    let facts = model.facts;
    let (verdict, evidence) = match (&facts.revision, &facts.absent) {
        _ if facts.local => (Verdict::Unknown, format!("the folder {} has no revision", facts.id)),
        (Some(revision), Some(absent)) if is_commit(revision) => (Verdict::Fail, absent.clone()),
        (Some(revision), _) if is_commit(revision) => (Verdict::Pass, revision.clone()),
        (Some(revision), _) => (
            Verdict::Fail,
            format!("`{revision}` is not a commit (40 digits 0-9, a-f): it may move"),
        ),
        (None, _) => (
            Verdict::Fail,
            format!("{} without a revision is its main branch, which may move", facts.id),
        ),
    };
    Finding::new("revision", model.subject(), verdict, evidence).remedy(remedy(model))
}

fn remedy(model: &Loaded<'_>) -> String {
    let id = &model.facts.id;
    let pinned = hub::known(id).and_then(|known| known.revision.clone());
    let here = model.facts.commit.as_ref().map(|commit| commit.value.clone());
    match pinned.or(here).filter(|commit| is_commit(commit)) {
        _ if model.facts.local => {
            format!("publish {id} on the hub and name it by owner/name@commit")
        }
        Some(commit) => format!("write {id}@{commit}"),
        None => format!(
            "write {id}@ and the commit that its page lists under `Files and versions`, `History`"
        ),
    }
}

/// The kit keeps models by name: two revisions of one become one.
pub(super) fn twice(all: &[Loaded<'_>]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (i, model) in all.iter().enumerate() {
        let earlier = all.iter().take(i).find(|it| it.facts.id == model.facts.id);
        if let Some(earlier) = earlier {
            let evidence = format!(
                "{} and {}: the starter kit's `loaded_models` has one entry per name",
                earlier.facts.reference(),
                model.facts.reference()
            );
            let finding = Finding::new("one_revision", model.subject(), Verdict::Warn, evidence);
            found.push(
                finding.remedy(
                    "take both from one revision, or publish one of them under another name",
                ),
            );
        }
    }
    found
}
