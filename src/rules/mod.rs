//! The rules of competitions as data, and checks that hold a space, a run or a submission against them.
//!
//! A [`Profile`] says what the rules are and where that is written; each
//! [`Finding`] says what was found, and by what evidence. What cannot be known here is [`Verdict::Unknown`], never passed.

mod check;
pub mod code;
pub mod data;
pub mod disk;
mod finding;
pub mod graph;
pub mod hours;
pub mod measured;
pub mod memory;
pub mod models;
pub mod network;
pub mod package;
mod profile;
pub mod subject;
pub mod tasks;
pub mod time;

use std::fmt;

use serde::Serialize;

pub use check::{Given, check};
pub use profile::{Profile, ProfileError, Severity};

/// What a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// The rule is kept.
    Pass,
    /// There is nothing here that tells.
    Unknown,
    /// It is kept only by a reading of the rule, or by something that its owner has to do.
    Warn,
    /// It is broken.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Pass => "PASS",
            Verdict::Unknown => "UNKNOWN",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
        })
    }
}

/// The outcome of one rule for one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's word in the profile: `size`, `licence`, `revision`, …
    pub rule: &'static str,
    /// What was looked at: a model, a task, a file.
    pub subject: String,
    /// Of this subject.
    pub verdict: Verdict,
    /// Numbers and words that the verdict rests on, and where they were read.
    pub evidence: String,
    /// What to do about it; nothing where it passes.
    pub remedy: Option<String>,
}

#[cfg(test)]
mod tests;
