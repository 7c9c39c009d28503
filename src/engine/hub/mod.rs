//! Ids of models and datasets → files, through the Hugging Face hub and its local cache (the one Python uses).
//!
//! A revision is first resolved to a commit, and every file is then taken from that commit, so a branch that moves
//! meanwhile does not mix two versions. Files are downloaded outside of what others read, compared with the digest that
//! the hub names them by, and only then put into the cache.
mod cache;
mod dataset;
mod digest;
mod download;
mod error;
mod files;
mod known;
mod layout;
mod pattern;
mod remote;
mod repository;

use std::path::{Path, PathBuf};

use cache::RepoCache;
use download::Remote;

pub use dataset::{DatasetFiles, DatasetSnapshot};
pub use error::HubError;
pub use known::{KnownModel, catalogue, known};
pub use remote::RemoteModel;
pub use repository::{Repository, RepositoryKind};

/// Where models and datasets come from. The caller reads the environment; this does not.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Folder with `models--owner--name` and `datasets--owner--name` folders.
    pub cache: PathBuf,
    /// Server, without the trailing slash; `None` = the public one.
    pub endpoint: Option<String>,
    /// Access token for gated repositories.
    pub token: Option<String>,
    /// Take everything from the cache.
    pub offline: bool,
    /// Draw a progress bar for downloads.
    pub progress: bool,
}

/// A model's or adapter's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where they are.
    pub folder: PathBuf,
    /// Git commit on the hub, 40 hexadecimal digits; `None` for a folder of the user's.
    pub commit: Option<String>,
}

const PUBLIC: &str = "https://huggingface.co";

impl Hub {
    /// The folder of `model`: itself if it is one, or else a snapshot of the hub's `owner/name` at `revision`
    /// (default `main`).
    ///
    /// # Errors
    /// See [`HubError`].
    pub fn folder(&self, model: &str, revision: Option<&str>) -> Result<PathBuf, HubError> {
        Ok(self.snapshot(model, revision)?.folder)
    }

    /// The same, with the commit that `revision` (a branch, a tag or a commit) stands for.
    ///
    /// A commit that is in the cache is taken from there; for a branch or a tag, the hub is asked, and what it stood for
    /// last time is taken where the hub does not answer.
    ///
    /// # Errors
    /// See [`HubError`].
    pub fn snapshot(&self, model: &str, revision: Option<&str>) -> Result<Snapshot, HubError> {
        let path = Path::new(model);
        if path.is_dir() {
            return Ok(Snapshot { folder: path.to_owned(), commit: None });
        }
        let repository = Repository::parse(RepositoryKind::Model, model)
            .ok_or_else(|| HubError::NotAnId { model: model.to_owned() })?;
        self.wanted(&repository, revision)?.snapshot()
    }

    fn wanted<'a>(
        &'a self,
        repository: &'a Repository,
        revision: Option<&'a str>,
    ) -> Result<Wanted<'a>, HubError> {
        let revision = revision.unwrap_or("main");
        match is_revision(revision) {
            true => Ok(Wanted { hub: self, repository, revision }),
            false => Err(HubError::NotARevision { revision: revision.to_owned() }),
        }
    }

    fn endpoint(&self) -> &str {
        self.endpoint.as_deref().unwrap_or(PUBLIC)
    }
}

/// What git allows as a name and a URL needs no escapes for.
fn is_revision(revision: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=');
    let is_word = |word: &str| {
        !word.is_empty()
            && !word.starts_with('.')
            && !word.contains("..")
            && word.chars().all(plain)
    };
    revision.split('/').all(is_word)
}

/// Whether `text` is a whole git commit hash.
fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// One revision of one repository.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    hub: &'a Hub,
    repository: &'a Repository,
    revision: &'a str,
}

impl Wanted<'_> {
    fn snapshot(&self) -> Result<Snapshot, HubError> {
        let cache = RepoCache::new(&self.hub.cache, self.repository);
        if self.hub.offline {
            return self.cached(&cache);
        }
        if let Some(commit) = cache.commit(self.revision).filter(|commit| commit == self.revision)
            && files::is_whole(&cache.snapshot(&commit))
        {
            return Ok(Snapshot { folder: cache.snapshot(&commit), commit: Some(commit) });
        }
        let remote = Remote::new(*self, &cache)?;
        match remote.resolve() {
            Ok(listing) => remote.fetch(&listing),
            Err(error) if error.is_silence() => self.cached(&cache).map_err(|_| error),
            Err(error) => Err(error),
        }
    }

    fn cached(&self, cache: &RepoCache) -> Result<Snapshot, HubError> {
        let commit = cache.commit(self.revision).ok_or_else(|| self.not_cached(Vec::new()))?;
        let folder = cache.snapshot(&commit);
        match files::missing_weights(&folder)? {
            None => Ok(Snapshot { folder, commit: Some(commit) }),
            Some(file) => Err(self.not_cached(vec![file])),
        }
    }

    fn not_cached(&self, files: Vec<String>) -> HubError {
        let (repository, revision) = self.named();
        HubError::NotCached { repository, revision, files, cache: self.hub.cache.clone() }
    }

    fn named(&self) -> (Box<Repository>, String) {
        (Box::new(self.repository.clone()), self.revision.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_stay_inside_the_cache() {
        for revision in ["main", "refs/pr/1", "v1.0", "0123456789abcdef0123456789abcdef01234567"] {
            assert!(is_revision(revision), "{revision}");
        }
        for revision in ["", "/", "../main", "a//b", "a/../b", "a?b", "a#b", "a%2e", "a b"] {
            assert!(!is_revision(revision), "{revision}");
        }
    }
}
