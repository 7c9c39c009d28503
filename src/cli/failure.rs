//! From a typed error to a message, a remedy and an exit code.

use std::error::Error;
use std::process::ExitCode;

use merge_search::evaluate::{EvaluateError, OpenError};
use merge_search::record::RecordError;
use merge_search::search::SearchError;
use merge_search::space::SpaceError;

use super::tell;

/// Why a command ends without having done its work.
#[derive(Debug)]
pub struct Failure {
    message: String,
    remedy: Option<String>,
    code: u8,
}

impl Failure {
    /// The user can mend it: exit code 2.
    pub fn input(message: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: None, code: 2 }
    }

    /// Stopped, and can go on: exit code 3.
    pub fn stopped(message: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: None, code: 3 }
    }

    /// Says before the message where it was met.
    pub fn at(self, place: &str) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }

    /// What to do about it.
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Bad input, with the error's whole chain of causes.
    pub fn from_error(error: &dyn Error) -> Self {
        Self::input(chain(error))
    }

    /// Prints it to standard error.
    pub fn report(&self) -> ExitCode {
        let label = if self.code == 3 { "stopped" } else { "error" };
        tell(&format!("{label}: {}", self.message));
        if let Some(remedy) = &self.remedy {
            tell(&format!("  {remedy}"));
        }
        ExitCode::from(self.code)
    }

    /// A run that broke off: everything recorded stays, so the remedy is to resume.
    pub fn of_run(error: &SearchError, run: &std::path::Path) -> Self {
        let resume = format!(
            "everything recorded is kept; once mended, go on with: merge-search --resume {}",
            run.display()
        );
        match error {
            SearchError::Evaluate(EvaluateError::Set { .. }) => {
                Self { code: 1, ..Self::from_error(error) }
            }
            SearchError::Record(RecordError::Io { .. }) | SearchError::Evaluate(_) => {
                Self::stopped(chain(error)).remedy(resume)
            }
            SearchError::Record(
                RecordError::TasksDiffer { .. }
                | RecordError::DocsDiffer { .. }
                | RecordError::GenotypeLength { .. }
                | RecordError::GeneDiffers { .. },
            ) => Self { code: 1, ..Self::from_error(error) },
            SearchError::Record(_) | SearchError::Gap { .. } => Self::from_error(error).remedy(
                "put the file back from a copy; a run whose record is incomplete cannot be resumed: begin a new one with --name",
            ),
            SearchError::ReplayDiffers { .. } => Self::from_error(error).remedy(
                "manifest.json was edited, or another version of the program began this run; begin a new one with --name",
            ),
            SearchError::BaseInfeasible { .. } => Self::from_error(error)
                .remedy("check the base checkpoint and the task files named in the search space"),
            SearchError::Executor(_) | SearchError::Join(_) | SearchError::RungShrinks { .. } => {
                Self { code: 1, ..Self::from_error(error) }
            }
        }
    }
}

/// The error and its causes, joined by colons; a cause that the text already has is not said twice.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

impl From<SpaceError> for Failure {
    fn from(error: SpaceError) -> Self {
        Self::from_error(&error)
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        let failure = Self::from_error(&error);
        match error {
            RecordError::NotARun { .. } => {
                failure.remedy("give a folder that a search has written: results/NAME")
            }
            RecordError::Manifest { .. }
            | RecordError::SpaceChanged { .. }
            | RecordError::Damaged { .. }
            | RecordError::Parquet { .. }
            | RecordError::Column { .. }
            | RecordError::Cell { .. }
            | RecordError::MissingItems { .. } => {
                failure.remedy("put the file back from a copy of the run")
            }
            _ => failure,
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::from_error(&error)
    }
}
