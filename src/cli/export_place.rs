//! Where an export may be written.

use std::path::{Path, PathBuf};

use merge_search::submission::SubmissionError;
use merge_search::submission::require_free;

use super::Failure;

/// Refuses a folder that is there and not empty, or that cannot be written, before any work.
pub fn require_writable(output: &Path) -> Result<(), Failure> {
    require_free(output).map_err(|error| {
        let remedy = match &error {
            SubmissionError::NotEmpty { .. } => "give another --output, or empty that folder",
            _ => "give an --output where folders can be made",
        };
        Failure::from_error(&error).remedy(remedy)
    })
}

/// Refuses a folder among the run's own files, which whoever reads the run would take for a part of it.
pub fn require_outside(output: &Path, run: &Path) -> Result<(), Failure> {
    let inside = std::fs::canonicalize(run).is_ok_and(|run| place(output).starts_with(run));
    match inside {
        false => Ok(()),
        true => Err(Failure::input(format!(
            "{} is in the run folder {}",
            output.display(),
            run.display()
        ))
        .remedy("give an --output beside it")),
    }
}

/// Of a folder that need not be there, without links where it is.
fn place(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = whole.ancestors().find_map(|above| {
        let rest = whole.strip_prefix(above).ok()?;
        Some(std::fs::canonicalize(above).ok()?.join(rest))
    });
    found.unwrap_or(whole)
}
