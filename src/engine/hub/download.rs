//! From the hub to the cache.
//!
//! hf-hub 0.5 asks for the rest of a `.part` file and appends whatever comes, so what went wrong in between shows only
//! in the digest: a file that was resumed and is wrong is fetched once more from its start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use hf_hub::Cache;
use hf_hub::api::RepoInfo;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};

use super::cache::{RepoCache, at};
use super::digest::Kind;
use super::files::{SMALL, Weights, is_pickled, shards};
use super::{HubError, Snapshot, Wanted, is_commit};

/// Between the attempts at one request.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(600), Duration::from_millis(1800)];

/// What messages call the list of a repository's files.
const LISTING: &str = "list of files";

pub(super) struct Remote<'a> {
    wanted: Wanted<'a>,
    cache: &'a RepoCache,
    api: Api,
}

/// A file as the hub describes it.
struct RemoteFile<'a> {
    name: &'a str,
    commit: &'a str,
    digest: String,
    kind: Kind,
    /// Bytes.
    size: u64,
}

impl<'a> Remote<'a> {
    pub(super) fn new(wanted: Wanted<'a>, cache: &'a RepoCache) -> Result<Remote<'a>, HubError> {
        let builder = ApiBuilder::from_cache(Cache::new(cache.staging()))
            .with_endpoint(wanted.hub.endpoint().to_owned())
            .with_token(wanted.hub.token.clone())
            .with_retries(0)
            .with_progress(wanted.hub.progress);
        let api = builder.build().map_err(|source| wanted.failure(LISTING, source))?;
        Ok(Remote { wanted, cache, api })
    }

    /// The commit and the files of the revision.
    pub(super) fn resolve(&self) -> Result<RepoInfo, HubError> {
        let repo = self.repo(self.wanted.revision);
        let listing = with_retries(|| repo.info());
        let listing = listing.map_err(|error| self.wanted.failure(LISTING, error))?;
        if is_commit(&listing.sha) {
            return Ok(listing);
        }
        Err(self.wanted.failure(LISTING, ApiError::InvalidHeader("sha")))
    }

    /// Brings what is needed of a commit into the cache, weights last: a folder with weights has all the rest.
    pub(super) fn fetch(&self, listing: &RepoInfo) -> Result<Snapshot, HubError> {
        let has = |name: &str| listing.siblings.iter().any(|file| file.rfilename == name);
        let weights = Weights::find(has);
        if weights.is_none() {
            let pickled = listing.siblings.iter().any(|file| is_pickled(&file.rfilename));
            let (repository, revision) = self.wanted.named();
            return Err(HubError::NoSafetensors { repository, revision, pickled });
        }
        let (commit, folder) = (listing.sha.as_str(), self.cache.snapshot(&listing.sha));
        for name in SMALL.into_iter().filter(|name| has(name)) {
            self.fetch_file(commit, name)?;
        }
        for name in weights.adapter.into_iter().chain(weights.model) {
            self.fetch_file(commit, name)?;
        }
        if let Some(index) = weights.index() {
            for shard in shards(&folder.join(index))? {
                self.fetch_file(commit, &shard)?;
            }
        }
        self.finish(commit)?;
        Ok(Snapshot { folder, commit: Some(commit.to_owned()) })
    }

    /// Brings the named files of a commit into the cache.
    pub(super) fn fetch_files<'n>(
        &self,
        commit: &str,
        names: impl Iterator<Item = &'n String>,
    ) -> Result<(), HubError> {
        for name in names {
            self.fetch_file(commit, name)?;
        }
        self.finish(commit)
    }

    /// Everything is there.
    fn finish(&self, commit: &str) -> Result<(), HubError> {
        self.cache.note(self.wanted.revision, commit)?;
        self.clean_up();
        Ok(())
    }

    fn repo(&self, revision: &str) -> ApiRepo {
        self.api.repo(self.wanted.repository.at(revision))
    }

    fn fetch_file(&self, commit: &str, name: &str) -> Result<(), HubError> {
        if self.cache.snapshot(commit).join(name).is_file() {
            return Ok(());
        }
        let file = self.describe(commit, name)?;
        // Another commit may have the same file.
        if !self.cache.blob(&file.digest).is_file() {
            self.download(&file)?;
        }
        self.cache.link(commit, name, &file.digest)
    }

    fn describe<'f>(&self, commit: &'f str, name: &'f str) -> Result<RemoteFile<'f>, HubError> {
        let url = self.repo(commit).url(&escaped(name));
        let metadata = with_retries(|| self.api.metadata(&url));
        let metadata = metadata.map_err(|error| self.wanted.failure(name, error))?;
        let (digest, size) = (metadata.etag().to_owned(), metadata.size() as u64);
        match Kind::of(&digest) {
            Some(kind) => Ok(RemoteFile { name, commit, digest, kind, size }),
            None => Err(HubError::Unverifiable {
                repository: Box::new(self.wanted.repository.clone()),
                revision: self.wanted.revision.to_owned(),
                file: name.to_owned(),
                etag: digest,
            }),
        }
    }

    /// Into the blobs, if it is what the hub says.
    fn download(&self, file: &RemoteFile<'_>) -> Result<(), HubError> {
        let staged = self.staged_blob(file);
        loop {
            let resumed = self.receive(file, &staged)?;
            let actual = file.kind.of_file(&staged).map_err(at(&staged))?;
            if actual == file.digest {
                return self.cache.adopt(&staged, &file.digest);
            }
            fs::remove_file(&staged).map_err(at(&staged))?;
            if !resumed {
                return Err(HubError::Checksum {
                    repository: Box::new(self.wanted.repository.clone()),
                    revision: self.wanted.revision.to_owned(),
                    file: file.name.to_owned(),
                    expected: file.digest.as_str().into(),
                    actual: actual.into(),
                });
            }
        }
    }

    /// Brings a file to `staged`; true if a part of it was there before.
    fn receive(&self, file: &RemoteFile<'_>, staged: &Path) -> Result<bool, HubError> {
        let part = staged.with_extension("part");
        let mut resumed = false;
        let received = with_retries(|| {
            let length = fs::metadata(&part).map_or(0, |part| part.len());
            resumed |= length > 0;
            self.receive_once(file, staged, &part, length)
        });
        received.map_err(|error| self.wanted.failure(file.name, error))?;
        Ok(resumed)
    }

    fn receive_once(
        &self,
        file: &RemoteFile<'_>,
        staged: &Path,
        part: &Path,
        length: u64,
    ) -> Result<(), ApiError> {
        // A server has nothing to answer to a request for what follows the last byte.
        if length == file.size && length > 0 {
            return Ok(fs::rename(part, staged)?);
        }
        if length > file.size {
            fs::remove_file(part)?;
        }
        let repo = self.repo(file.commit);
        let name = escaped(file.name);
        let pointer = self.staged_root().join("snapshots").join(file.commit).join(&name);
        let _absent = fs::remove_file(pointer);
        repo.download(&name)?;
        let received = fs::metadata(staged)?.len();
        if received < file.size {
            fs::rename(staged, part)?;
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    fn staged_root(&self) -> PathBuf {
        self.cache.staging().join(self.wanted.repository.folder_name())
    }

    fn staged_blob(&self, file: &RemoteFile<'_>) -> PathBuf {
        self.staged_root().join("blobs").join(&file.digest)
    }

    /// Removes the staging folder, unless a part of a file is still in it (of another process, or another commit).
    fn clean_up(&self) {
        let blobs = fs::read_dir(self.staged_root().join("blobs"));
        let is_part = |entry: fs::DirEntry| entry.path().extension().is_some_and(|e| e == "part");
        if !blobs.into_iter().flatten().flatten().any(is_part) {
            let _absent = fs::remove_dir_all(self.cache.staging());
        }
    }
}

impl Wanted<'_> {
    pub(super) fn failure(&self, file: &str, source: ApiError) -> HubError {
        let (repository, revision) = self.named();
        let (file, endpoint) = (file.to_owned(), self.hub.endpoint().to_owned());
        let source = match source {
            ApiError::LockAcquisition(_) => return HubError::Busy { repository, revision, file },
            ApiError::IoError(source) if is_of_disk(&source) => {
                return HubError::Cache { path: self.hub.cache.clone(), source };
            }
            other => Box::new(other),
        };
        match status(&source) {
            Some(404) => HubError::Absent { repository, revision, file, endpoint },
            Some(status @ (401 | 403)) => {
                let with_token = self.hub.token.is_some();
                HubError::Refused { repository, revision, endpoint, status, with_token }
            }
            Some(status) => HubError::Status { repository, revision, file, endpoint, status },
            None if is_of_connection(&source) => {
                HubError::Connection { repository, revision, file, endpoint, source }
            }
            None => HubError::Answer { repository, revision, file, endpoint, source },
        }
    }
}

/// A path in a URL: hf-hub takes names as they are.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                escaped.push(char::from(byte));
            }
            _ => escaped += &format!("%{byte:02X}"),
        }
    }
    escaped
}

fn with_retries<T>(mut attempt: impl FnMut() -> Result<T, ApiError>) -> Result<T, ApiError> {
    for pause in PAUSES {
        match attempt() {
            Err(error) if may_pass(&error) => sleep(pause),
            done => return done,
        }
    }
    attempt()
}

/// Whether the same request may succeed a little later.
fn may_pass(error: &ApiError) -> bool {
    match status(error) {
        Some(status) => status >= 500 || matches!(status, 408 | 429),
        None => is_of_connection(error),
    }
}

fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    }
}

fn is_of_connection(error: &ApiError) -> bool {
    match error {
        ApiError::IoError(error) => !is_of_disk(error),
        ApiError::RequestError(error) => matches!(
            **error,
            ureq::Error::Io(_)
                | ureq::Error::Timeout(_)
                | ureq::Error::HostNotFound
                | ureq::Error::ConnectionFailed
        ),
        _ => false,
    }
}

fn is_of_disk(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists
    )
}
