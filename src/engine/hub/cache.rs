//! One repository's folder in the cache, as Python's `huggingface_hub` lays it out:
//! `refs/<revision>` holds a commit, `snapshots/<commit>/<file>` links to `blobs/<digest>`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hf_hub::Cache;

use super::{HubError, Repository, is_commit};

pub(super) struct RepoCache {
    all: PathBuf,
    repository: Repository,
    root: PathBuf,
}

impl RepoCache {
    pub(super) fn new(all: &Path, repository: &Repository) -> RepoCache {
        let root = all.join(repository.folder_name());
        RepoCache { all: all.to_owned(), repository: repository.clone(), root }
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
        let up = "../".repeat(2 + file.matches('/').count());
        let relative = Path::new(&up).join("blobs").join(digest);
        link(&self.blob(digest), &relative, &pointer).map_err(at(&pointer))
    }

    /// Notes which commit a branch or a tag stands for.
    pub(super) fn note(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit {
            return Ok(());
        }
        let cache = Cache::new(self.all.clone());
        let noted = cache.repo(self.repository.at(revision)).create_ref(commit);
        noted.map_err(at(&self.root.join("refs").join(revision)))
    }

    /// Notes which files a commit has, not only those that were fetched: a pattern means the same offline then. Python does
    /// not look here either.
    pub(super) fn note_listing(&self, commit: &str, names: &[String]) -> Result<(), HubError> {
        let path = self.listing_path(commit);
        create_parent(&path)?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&temporary, names.join("\n")).map_err(at(&temporary))?;
        fs::rename(&temporary, &path).map_err(at(&path))
    }

    /// The noted files of a commit.
    pub(super) fn listing(&self, commit: &str) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.listing_path(commit)).ok()?;
        Some(text.lines().map(str::to_owned).collect())
    }

    fn listing_path(&self, commit: &str) -> PathBuf {
        self.root.join(".listing").join(commit)
    }

    /// The files of a commit that are there, sorted.
    pub(super) fn present(&self, commit: &str) -> Vec<String> {
        let mut names = Vec::new();
        walk(&self.snapshot(commit), "", &mut names);
        names.sort();
        names
    }
}

fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Files are links here; a folder that is one could lead in a circle.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), &format!("{prefix}{name}/"), names);
        } else {
            names.push(format!("{prefix}{name}"));
        }
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
