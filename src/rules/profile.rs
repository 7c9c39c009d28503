//! A competition's rules, as its file in `profiles/` has them.

use serde::Deserialize;

use super::Verdict;

/// The rules of one competition.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// As `--rules` names it.
    pub name: String,
}

/// What a profile makes of something that breaks a rule only by one of its readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Its owner has to look at it.
    Warn,
    /// It is refused.
    Fail,
}

impl From<Severity> for Verdict {
    fn from(severity: Severity) -> Verdict {
        match severity {
            Severity::Warn => Verdict::Warn,
            Severity::Fail => Verdict::Fail,
        }
    }
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// There is none of that name.
    #[error("there are no rules `{name}`; there are: merging-2024, efficiency-2023, seed")]
    Unknown {
        /// The name.
        name: String,
    },
}
