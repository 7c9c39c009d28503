//! An exported folder as it lies on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::record::sha256;
use crate::submission::competition::{MANIFEST_FILE, MANIFEST_FORMAT, SubmissionManifest};

/// What is to be handed in.
#[derive(Debug, Clone, PartialEq)]
pub struct Handed {
    /// Where it lies.
    pub folder: PathBuf,
    /// Its `submission.json`.
    pub manifest: SubmissionManifest,
    /// Digest of every file by its path there, with `/` between the parts; of archives none.
    pub files: BTreeMap<String, String>,
}

/// Why a folder cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum HandedError {
    /// A file or a folder cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not what an export writes.
    #[error("{}: no manifest of an export", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Key and place.
        #[source]
        source: serde_json::Error,
    },
    /// Written by another version of the program.
    #[error("{}: format {found}; this program reads format {MANIFEST_FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its `format`.
        found: u32,
    },
}

impl Handed {
    /// Reads the manifest and all files.
    ///
    /// # Errors
    /// See [`HandedError`].
    pub fn read(folder: &Path) -> Result<Handed, HandedError> {
        let path = folder.join(MANIFEST_FILE);
        let text = fs::read(&path).map_err(at(&path))?;
        let manifest: SubmissionManifest = serde_json::from_slice(&text)
            .map_err(|source| HandedError::Manifest { path: path.clone(), source })?;
        if manifest.format != MANIFEST_FORMAT {
            return Err(HandedError::Format { path, found: manifest.format });
        }
        let mut files = BTreeMap::new();
        walk(folder, "", &mut files)?;
        Ok(Handed { folder: folder.to_owned(), manifest, files })
    }

    /// A file's text; nothing where it is missing or no text.
    pub fn text(&self, path: &str) -> String {
        let there = self.files.contains_key(path);
        let text = there.then(|| fs::read_to_string(self.folder.join(path)).ok());
        text.flatten().unwrap_or_default()
    }
}

fn walk(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, String>,
) -> Result<(), HandedError> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        // A link to a folder could lead in a circle; it is read as a file, which it cannot be.
        if entry.file_type().map_err(at(&path))?.is_dir() {
            walk(&path, &format!("{name}/"), files)?;
        } else if name.ends_with(super::ARCHIVE) || !path.is_file() {
            files.insert(name, String::new());
        } else {
            files.insert(name, sha256(fs::read(&path).map_err(at(&path))?));
        }
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> HandedError {
    let path = path.to_owned();
    |source| HandedError::Read { path, source }
}
