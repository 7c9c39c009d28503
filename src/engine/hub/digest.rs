//! The hub names a file by what is in it: large ones by SHA-256, those in git itself by git's blob hash.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

const CHUNK: usize = 1 << 20;

/// How an etag was made; `None` if it is not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 64 hexadecimal digits.
    Sha256,
    /// SHA-1 of `blob <length>\0` and the content, 40 hexadecimal digits.
    GitBlob,
}

impl Kind {
    pub(super) fn of(etag: &str) -> Option<Kind> {
        let is_hex = etag.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match etag.len() {
            64 if is_hex => Some(Kind::Sha256),
            40 if is_hex => Some(Kind::GitBlob),
            _ => None,
        }
    }

    /// A file's digest, hexadecimal.
    pub(super) fn of_file(self, path: &Path) -> io::Result<String> {
        let file = File::open(path)?;
        match self {
            Kind::Sha256 => absorb(Sha256::new(), file),
            Kind::GitBlob => {
                let length = file.metadata()?.len();
                absorb(Sha1::new_with_prefix(format!("blob {length}\0")), file)
            }
        }
    }
}

fn absorb(mut hasher: impl Digest, mut file: File) -> io::Result<String> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = file.read(&mut chunk)?;
        match chunk.get(..count) {
            Some(bytes) if count > 0 => hasher.update(bytes),
            _ => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `printf 'hello\n' | git hash-object --stdin` and `printf 'hello\n' | sha256sum`.
    #[test]
    fn digests_are_those_of_git_and_sha256sum() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello\n").unwrap();
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        for (kind, digest) in [(Kind::GitBlob, git), (Kind::Sha256, sha256)] {
            assert_eq!(Kind::of(digest), Some(kind));
            assert_eq!(kind.of_file(file.path()).unwrap(), digest);
        }
        assert_eq!(Kind::of("../../etc"), None);
        assert_eq!(Kind::of(&"g".repeat(40)), None);
    }
}
