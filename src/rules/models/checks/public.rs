//! That the organisers can get the models.

use serde::Deserialize;

use super::loaded::Loaded;
use crate::rules::profile::Severity;
use crate::rules::{Finding, Verdict};

/// `[models.public]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicRules {
    /// Who says so.
    pub source: String,
    /// What becomes of a folder.
    pub local: Severity,
}

pub(super) fn check(model: &Loaded<'_>, rules: &PublicRules) -> Finding {
    let (facts, subject) = (model.facts, model.subject());
    if facts.local {
        let evidence =
            format!("{} is a folder on this machine, not a repository of the hub", facts.id);
        return Finding::new("public", subject, rules.local.into(), evidence)
            .remedy("publish it, and export with --published NAME=owner/name@commit");
    }
    if let Some(absent) = &facts.absent {
        return Finding::new("public", subject, Verdict::Fail, absent.as_str())
            .remedy("name a repository and a revision that are on the hub");
    }
    match &facts.gated {
        Some(gated) if gated.value => {
            let evidence = format!("gated ({}): HF_AUTH_TOKEN needed", gated.place);
            Finding::new("public", subject, Verdict::Warn, evidence).remedy(
                "accept its terms on its page and set HF_AUTH_TOKEN to a token of that account",
            )
        }
        Some(gated) => {
            Finding::new("public", subject, Verdict::Pass, format!("not gated ({})", gated.place))
        }
        None => {
            let evidence =
                format!("whether {} is public or gated is not known here", facts.reference());
            Finding::new("public", subject, Verdict::Unknown, evidence)
                .remedy("check again online, or give `gated` in a file with --evidence")
        }
    }
}
