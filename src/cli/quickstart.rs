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
    if folder.exists() && !is_whole(&folder) {
        // Cleaners of cache folders delete single files.
        std::fs::remove_dir_all(&folder).map_err(|error| {
            Failure::input(format!(
                "{} is damaged and cannot be removed: {error}",
                folder.display()
            ))
        })?;
    }
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

fn is_whole(folder: &Path) -> bool {
    [(&SPACES, "search-spaces"), (&DATASETS, "datasets")]
        .into_iter()
        .all(|(dir, name)| has_all(dir, &folder.join(name)))
}

fn has_all(dir: &Dir<'_>, root: &Path) -> bool {
    let there = |file: &include_dir::File<'_>| {
        let size = std::fs::metadata(root.join(file.path())).map(|metadata| metadata.len());
        size.is_ok_and(|size| size == file.contents().len() as u64)
    };
    dir.files().all(there) && dir.dirs().all(|dir| has_all(dir, root))
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
