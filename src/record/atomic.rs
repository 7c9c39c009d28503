//! Files that are either the old one or the new one, whatever happens.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::RecordError;

/// Ends the name of a file that is still being written; no reader's `*.parquet` matches it.
const TEMPORARY: &str = ".tmp";

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.to_owned();
    move |source| RecordError::Io { action, path, source }
}

/// Replaces `path`. Only the holder of the run's lock may call this: the temporary name is fixed.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), RecordError> {
    let temporary = temporary_name(path);
    File::create(&temporary)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(io_error("write", &temporary))?;
    fs::rename(&temporary, path).map_err(io_error("replace", path))?;
    match path.parent() {
        // A bare file name.
        Some(folder) if folder.as_os_str().is_empty() => sync_folder(Path::new(".")),
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// A rename is on disk only once its folder is.
fn sync_folder(folder: &Path) -> Result<(), RecordError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}

pub(super) fn is_temporary(path: &Path) -> bool {
    path.as_os_str().to_string_lossy().ends_with(TEMPORARY)
}

/// Removes what a killed writer left behind in `folder`.
pub(super) fn remove_temporaries(folder: &Path) -> Result<(), RecordError> {
    for path in entries(folder)? {
        if is_temporary(&path) {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}

/// What is in `folder`, sorted by name.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, RecordError> {
    let mut paths = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>())
        .map_err(io_error("list", folder))?;
    paths.sort();
    Ok(paths)
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(TEMPORARY);
    name.into()
}
