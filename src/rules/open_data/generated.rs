//! Which models may have written data.

use serde::Deserialize;

use super::{DataRules, DataUse};
use crate::rules::{Finding, Verdict};

/// `[data.generated_by]`: beginnings of names, in any case of letters. The first list that has one decides.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorRules {
    /// Never.
    pub refused: Vec<String>,
    /// For base models of the same family only.
    pub same_family: Vec<String>,
    /// For all.
    pub approved: Vec<String>,
}

impl GeneratorRules {
    pub(super) fn check(&self, rules: &DataRules, used: &DataUse, base: &str) -> Finding {
        let (verdict, evidence) = self.verdict(rules, used, base);
        Finding::new("generated_by", &used.task, verdict, evidence).remedy(match verdict {
            Verdict::Unknown => "write who made the documents into the task file (`generated_by`): `human`, or the model's name",
            _ => "search on data that people or an approved model wrote",
        })
    }

    fn verdict(&self, rules: &DataRules, used: &DataUse, base: &str) -> (Verdict, String) {
        let Some(author) = &used.source.generated_by else {
            return unsaid(rules, used);
        };
        let said = format!("generated_by = {author:?} (task file)");
        let name = author.to_lowercase();
        let part = |list: &[String]| list.iter().find(|part| names(&name, part)).cloned();
        if let Some(part) = part(&self.refused) {
            (Verdict::Fail, format!("{said}: `{part}` is refused"))
        } else if let Some(part) = part(&self.same_family) {
            let same = self.same_family.iter().any(|part| names(&base.to_lowercase(), part));
            let verdict = if same { Verdict::Pass } else { Verdict::Fail };
            (
                verdict,
                format!("{said}: `{part}` only for a base model of its family; the base is {base}"),
            )
        } else if let Some(part) = part(&self.approved) {
            (Verdict::Pass, format!("{said}: `{part}` is approved"))
        } else {
            (Verdict::Warn, format!("{said}: on no list of the profile"))
        }
    }
}

/// Whether a word of `text` begins with `part`, and is not denied (`non-human`).
fn names(text: &str, part: &str) -> bool {
    text.match_indices(part).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default();
        let denied = ["non-", "non ", "not "].iter().any(|word| before.ends_with(word));
        !denied && !before.ends_with(char::is_alphanumeric)
    })
}

fn unsaid(rules: &DataRules, used: &DataUse) -> (Verdict, String) {
    let id = used.source.dataset.as_deref();
    match id.filter(|id| rules.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(id))) {
        Some(id) => {
            (Verdict::Pass, format!("{id} is named by the organisers (profile, data.allowed)"))
        }
        None => (Verdict::Unknown, "the task file has no `generated_by`".to_owned()),
    }
}
