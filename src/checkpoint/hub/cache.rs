//! One repository's folder in the cache, as Python's `huggingface_hub` lays it out:
//! `refs/<revision>` holds a commit, `snapshots/<commit>/<file>` links to `blobs/<digest>`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hf_hub::{Cache, Repo, RepoType};

use super::{HubError, is_commit};

pub(super) struct RepoCache {
    all: PathBuf,
    id: String,
    root: PathBuf,
}

impl RepoCache {
    pub(super) fn new(all: &Path, id: &str) -> RepoCache {
        let root = all.join(Repo::model(id.to_owned()).folder_name());
        RepoCache { all: all.to_owned(), id: id.to_owned(), root }
    }

    /// The commit that `revision` stood for when it was last looked up; a commit stands for itself.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) && self.snapshot(revision).is_dir() {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.root.join("refs").join(revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, digest: &str) -> PathBuf {
        self.root.join("blobs").join(digest)
    }

    /// A cache of hf-hub's own for what is not verified yet. Python looks only at `refs`, `snapshots` and `blobs`.
    pub(super) fn staging(&self) -> PathBuf {
        self.root.join(".partial")
    }

    /// Moves a verified file to the blobs.
    pub(super) fn adopt(&self, staged: &Path, digest: &str) -> Result<(), HubError> {
        let blob = self.blob(digest);
        create_parent(&blob)?;
        fs::rename(staged, &blob).map_err(at(&blob))
    }

    /// Makes a blob appear as `file` of a commit.
    pub(super) fn link(&self, commit: &str, file: &str, digest: &str) -> Result<(), HubError> {
        let pointer = self.snapshot(commit).join(file);
        create_parent(&pointer)?;
        // A link whose blob somebody has removed.
        let _absent = fs::remove_file(&pointer);
        link(&self.blob(digest), Path::new("../../blobs").join(digest).as_path(), &pointer)
            .map_err(at(&pointer))
    }

    /// Notes which commit a branch or a tag stands for.
    pub(super) fn note(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit {
            return Ok(());
        }
        let repo = Repo::with_revision(self.id.clone(), RepoType::Model, revision.to_owned());
        let noted = Cache::new(self.all.clone()).repo(repo).create_ref(commit);
        noted.map_err(at(&self.root.join("refs").join(revision)))
    }
}

fn create_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(at(parent))
}

/// An error of the disk, with its place.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> HubError {
    let path = path.to_owned();
    |source| HubError::Cache { path, source }
}

#[cfg(unix)]
fn link(_blob: &Path, relative: &Path, pointer: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(relative, pointer)
}

/// Symbolic links need a privilege on Windows.
#[cfg(not(unix))]
fn link(blob: &Path, _relative: &Path, pointer: &Path) -> io::Result<()> {
    fs::hard_link(blob, pointer)
}
