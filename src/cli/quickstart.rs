//! The quickstart family inside the binary, unpacked where the checkpoints can be mapped from.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::Failure;

static SPACES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/search-spaces");
static DATASETS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/datasets");

/// How a manifest names the built-in space.
pub const NAME: &str = "built-in:quickstart";

/// Unpacks the family once per version into the user's cache folder, and returns its space file.
pub fn unpack() -> Result<PathBuf, Failure> {
    let cache = dirs::cache_dir().unwrap_or_else(std::env::temp_dir).join("merge-search");
    let folder = cache.join(format!("quickstart-{}", fingerprint()));
    if !folder.exists() {
        unpack_into(&cache, &folder).map_err(|error| {
            Failure::input(format!(
                "cannot unpack the quickstart into {}: {error}",
                folder.display()
            ))
            .remedy("free some space, or set XDG_CACHE_HOME to a folder that can be written")
        })?;
    }
    Ok(folder.join("search-spaces").join("quickstart.toml"))
}

/// Whole or not at all: another process may be unpacking too.
fn unpack_into(cache: &Path, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(cache)?;
    let temporary = tempfile::Builder::new().prefix("unpacking-").tempdir_in(cache)?;
    for (dir, name) in [(&SPACES, "search-spaces"), (&DATASETS, "datasets")] {
        let target = temporary.path().join(name);
        std::fs::create_dir_all(&target)?;
        dir.extract(&target)?;
    }
    match std::fs::rename(temporary.path(), folder) {
        Err(_) if folder.exists() => Ok(()),
        renamed => renamed,
    }
}

/// Differs whenever any embedded file does.
fn fingerprint() -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for dir in [&SPACES, &DATASETS] {
        absorb(dir, &mut hash);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn absorb(dir: &Dir<'_>, hash: &mut impl sha2::Digest) {
    for file in dir.files() {
        hash.update(file.path().as_os_str().as_encoded_bytes());
        hash.update(file.contents());
    }
    dir.dirs().for_each(|dir| absorb(dir, hash));
}
