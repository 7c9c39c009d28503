use std::io;
use std::path::PathBuf;

use hf_hub::api::sync::ApiError;

/// Why a model id gave no folder.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Neither a folder nor `owner/name`.
    #[error("{model}: no such folder, and not a hub id (owner/name)")]
    NotAnId {
        /// What was given.
        model: String,
    },
    /// Not a branch, a tag or a commit.
    #[error("{revision:?} is not a revision; valid: a branch, a tag or a commit hash")]
    NotARevision {
        /// What was given.
        revision: String,
    },
    /// Offline, and the cache does not have it.
    #[error(
        "{id}: no such folder, and {file} of {id}@{revision} is not in the cache {}; downloads are off",
        cache.display()
    )]
    NotCached {
        /// The hub id.
        id: String,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The cache.
        cache: PathBuf,
    },
    /// The hub does not have it (404).
    #[error("{id}: no such folder, and {endpoint} has no {file} of {id}@{revision}")]
    Absent {
        /// The hub id.
        id: String,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The server.
        endpoint: String,
    },
    /// The hub wants a token, or another one (401, 403).
    #[error(
        "{id}: no such folder, and {endpoint} refuses {id}@{revision} (status {status}{}): if it is gated, accept its \
         licence at {endpoint}/{id} and set HF_TOKEN to a token that may read it; an id that does not exist is refused \
         too",
        if *with_token { "" } else { ", no token given" }
    )]
    Refused {
        /// The hub id.
        id: String,
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
        "{id}: no such folder, and {endpoint} answers the request for {file} of {id}@{revision} with status {status}; try again later"
    )]
    Status {
        /// The hub id.
        id: String,
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
        "{id}: no such folder, and the connection to {endpoint} for {file} of {id}@{revision} failed; run again to go on where it broke off, or \
         set HF_HUB_OFFLINE=1 to use only what is in the cache"
    )]
    Connection {
        /// The hub id.
        id: String,
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
    #[error("{endpoint} does not answer the request for {file} of {id}@{revision} as a hub does")]
    Answer {
        /// The hub id.
        id: String,
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
        "the etag of {file} of {id}@{revision} is {etag:?}; a SHA-256 or a git blob hash is expected"
    )]
    Unverifiable {
        /// The hub id.
        id: String,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The etag.
        etag: String,
    },
    /// What came is not what the hub says it is. It was deleted.
    #[error(
        "{file} of {id}@{revision} arrived with digest {actual} instead of {expected}; it was deleted: try again"
    )]
    Checksum {
        /// The hub id.
        id: String,
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
    #[error("{file} of {id}@{revision} is being downloaded by another process; wait for it")]
    Busy {
        /// The hub id.
        id: String,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
    },
    /// There are no safetensors in the repository.
    #[error(
        "{id}@{revision} has no safetensors weights; only those are read{}",
        if *pickled {
            ": it has .bin files only; load it with transformers (or PEFT) and save it to a folder with \
             `save_pretrained(..., safe_serialization=True)`"
        } else {
            ""
        }
    )]
    NoSafetensors {
        /// The hub id.
        id: String,
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
    #[error("cannot write the model cache at {}", path.display())]
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
