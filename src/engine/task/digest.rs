//! The text of files, and the hash over all the files that a task was read from.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Hash over several files, each preceded by its length so that no byte can move from one to the next unseen.
#[derive(Debug, Clone, Default)]
pub struct FilesDigest(Sha256);

impl FilesDigest {
    /// Adds one file's bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// SHA-256 of all that was added, in hexadecimal.
    pub fn hexadecimal(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Why a file is no text.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The file is missing or cannot be read.
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    /// Bytes that are no text.
    #[error("not valid UTF-8 (line {line})")]
    Utf8 {
        /// Of the first such byte, counted from 1.
        line: usize,
    },
}

/// Reads a file as text, adding it to the digest.
///
/// # Errors
/// The file cannot be read or is not UTF-8.
pub fn read_text(path: &Path, digest: &mut FilesDigest) -> Result<String, TextError> {
    let bytes = fs::read(path).map_err(TextError::Read)?;
    digest.add(&bytes);
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(valid);
        TextError::Utf8 { line: 1 + before.filter(|byte| **byte == b'\n').count() }
    })
}
