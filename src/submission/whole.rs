//! A folder that is there whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::SubmissionError;

/// Lets `fill` write a folder under another name beside its own, which it gets at last.
///
/// # Errors
/// `dir` is there and not empty; the disk; what `fill` says.
pub(super) fn write_whole(
    dir: &Path,
    fill: impl FnOnce(&Path) -> Result<(), SubmissionError>,
) -> Result<(), SubmissionError> {
    require_empty(dir)?;
    let parent = dir.parent().unwrap_or(dir);
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    fs::create_dir_all(parent).map_err(at(parent))?;
    let passing = passing_folder(parent, dir)?;
    // A folder in it: what `tempfile` makes is closed to everybody else.
    let whole = passing.path().join("export");
    fs::create_dir(&whole).map_err(at(&whole))?;
    fill(&whole)?;
    if dir.is_dir() {
        fs::remove_dir(dir).map_err(at(dir))?;
    }
    fs::rename(&whole, dir).map_err(at(dir))?;
    fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(at(parent))
}

/// Refuses a folder that cannot be written, before the work that goes into it.
///
/// # Errors
/// It is there and not empty, or nothing can be written where it would be.
pub fn require_free(dir: &Path) -> Result<(), SubmissionError> {
    require_empty(dir)?;
    let above = dir.ancestors().skip(1).find(|above| above.is_dir());
    let above = above.unwrap_or(Path::new("."));
    passing_folder(above, dir).map(drop)
}

fn require_empty(dir: &Path) -> Result<(), SubmissionError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(SubmissionError::NotEmpty { dir: dir.to_owned() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(at(dir)(source)),
    }
}

/// Removed again with all that is in it.
fn passing_folder(parent: &Path, dir: &Path) -> Result<tempfile::TempDir, SubmissionError> {
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    tempfile::Builder::new().prefix(".export-").tempdir_in(parent).map_err(at(dir))
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> SubmissionError {
    let path: PathBuf = path.to_owned();
    |source| SubmissionError::Folder { path, source }
}
