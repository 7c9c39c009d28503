use std::io;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::ApiError;

use super::{Repository, RepositoryKind};

/// Names in a message.
const EXCERPT: usize = 20;

/// Why a hub id gave no files.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Neither a folder nor `owner/name`.
    #[error("{model}: no such folder, and not a hub id (owner/name)")]
    NotAnId {
        /// What was given.
        model: String,
    },
    /// Not what a dataset is called.
    #[error(
        "{id:?} is not the hub id of a dataset; valid: owner/name, or the name alone of one without owner"
    )]
    NotADataset {
        /// What was given.
        id: String,
    },
    /// Not a pattern of file names.
    #[error(
        "{pattern:?} is no pattern of file names; valid: a path in the repository, with `*` for any part of a name"
    )]
    NotAPattern {
        /// What was given.
        pattern: String,
    },
    /// Not a branch, a tag or a commit.
    #[error("{revision:?} is not a revision; valid: a branch, a tag or a commit hash")]
    NotARevision {
        /// What was given.
        revision: String,
    },
    /// Offline, and the cache does not have it.
    #[error(
        "{} {} of {repository}@{revision} is not in the cache {}; downloads are off (HF_HUB_OFFLINE). To fetch it where there is \
         a connection: {}",
        repository.opening(), wanted(files), cache.display(), command(repository, revision, files, cache)
    )]
    NotCached {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// Names, or patterns of names.
        files: Vec<String>,
        /// The cache.
        cache: PathBuf,
    },
    /// The hub does not answer, and the cache does not have it.
    #[error(
        "{} no connection to {endpoint}, and {} of {repository}@{revision} is not in the cache {}. To fetch it where there is a \
         connection: {}",
        repository.opening(), wanted(files), cache.display(), command(repository, revision, files, cache)
    )]
    Unreachable {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// Names, or patterns of names.
        files: Vec<String>,
        /// The cache.
        cache: PathBuf,
        /// The server.
        endpoint: String,
        /// Why there is no answer.
        #[source]
        source: Box<HubError>,
    },
    /// A repository without files for a split of a dataset.
    #[error(
        "dataset {repository}@{revision} has no files for split `{split}` ({sought}); it has {}",
        excerpt(files)
    )]
    NoSuchFiles {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// The split.
        split: String,
        /// What was looked for.
        sought: String,
        /// Everything that is there.
        files: Vec<String>,
    },
    /// The hub does not have it (404).
    #[error("{} {endpoint} has no {file} of {repository}@{revision}", repository.opening())]
    Absent {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The server.
        endpoint: String,
    },
    /// The hub wants a token, or another one (401, 403).
    #[error(
        "{} {endpoint} refuses {repository}@{revision} (status {status}{}): if it is gated, accept its \
         licence at {endpoint}/{} and set HF_TOKEN to a token that may read it; an id that does not exist is refused \
         too",
        repository.opening(),
        if *with_token { "" } else { ", no token given" },
        repository.page()
    )]
    Refused {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// The server.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The hub answered with another error.
    #[error(
        "{} {endpoint} answers the request for {file} of {repository}@{revision} with status {status}; try again later",
        repository.opening()
    )]
    Status {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The server.
        endpoint: String,
        /// HTTP status.
        status: u16,
    },
    /// No connection, or it broke.
    #[error(
        "{} the connection to {endpoint} for {file} of {repository}@{revision} failed; run again to go on where it broke off, or \
         set HF_HUB_OFFLINE=1 to use only what is in the cache",
        repository.opening()
    )]
    Connection {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The server.
        endpoint: String,
        /// Why.
        #[source]
        source: Box<ApiError>,
    },
    /// An answer that a hub does not give.
    #[error(
        "{endpoint} does not answer the request for {file} of {repository}@{revision} as a hub does"
    )]
    Answer {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The server.
        endpoint: String,
        /// Why.
        #[source]
        source: Box<ApiError>,
    },
    /// The hub names a file by something that is not its digest.
    #[error(
        "the etag of {file} of {repository}@{revision} is {etag:?}; a SHA-256 or a git blob hash is expected"
    )]
    Unverifiable {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The etag.
        etag: String,
    },
    /// What came is not what the hub says it is. It was deleted.
    #[error(
        "{file} of {repository}@{revision} arrived with digest {actual} instead of {expected}; it was deleted: try again"
    )]
    Checksum {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The hub's.
        expected: Box<str>,
        /// Of what came.
        actual: Box<str>,
    },
    /// Another process is downloading the same file.
    #[error(
        "{file} of {repository}@{revision} is being downloaded by another process; wait for it"
    )]
    Busy {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
    },
    /// There are no safetensors in the repository.
    #[error(
        "{repository}@{revision} has no safetensors weights; only those are read{}",
        if *pickled {
            ": it has .bin files only; load it with transformers (or PEFT) and save it to a folder with \
             `save_pretrained(..., safe_serialization=True)`"
        } else {
            ""
        }
    )]
    NoSafetensors {
        /// Which repository.
        repository: Box<Repository>,
        /// The revision.
        revision: String,
        /// Whether there are pickled weights.
        pickled: bool,
    },
    /// The list of shards is malformed.
    #[error("{}: `weight_map` must be a mapping of tensor names to names of files in the same folder", path.display())]
    Index {
        /// The file.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("cannot use the cache at {}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl HubError {
    /// Whether the hub said nothing about the model: no connection, or an error of the server's.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            HubError::Connection { .. } => true,
            HubError::Status { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}

/// Python's own client, with which both share the cache.
fn command(repository: &Repository, revision: &str, files: &[String], cache: &Path) -> String {
    let kind = match repository.kind {
        RepositoryKind::Model => "",
        RepositoryKind::Dataset => " --repo-type dataset",
    };
    let mut text = format!("`hf download{kind} {repository} --revision {revision}");
    // The client passes over `--include` where it is given names too.
    let option = if files.iter().any(|file| file.contains('*')) { "--include " } else { "" };
    for file in files {
        text += &format!(" {option}'{file}'");
    }
    text + &format!(
        " --cache-dir '{}'` (before huggingface_hub 0.34: huggingface-cli)",
        cache.display()
    )
}

fn wanted(files: &[String]) -> String {
    if files.is_empty() { "anything".to_owned() } else { files.join(", ") }
}

fn excerpt(files: &[String]) -> String {
    let shown: Vec<&str> = files.iter().take(EXCERPT).map(String::as_str).collect();
    match files.len() {
        0 => "no files".to_owned(),
        count if count > EXCERPT => format!("{count} files, among them {}", shown.join(", ")),
        _ => shown.join(", "),
    }
}
