//! Models as a file names them, relative to that file.

use std::path::Path;

use super::error::{Blame, SpaceError};
use crate::recipe::ModelRef;

/// An existing folder (relative to the file's) wins; anything else is left for the hub. Of `model@revision+adapter`, model
/// and adapter are looked for each by itself.
pub(super) fn model_ref(
    blame: &Blame<'_>,
    key: &str,
    word: &str,
    folder: &Path,
) -> Result<ModelRef, SpaceError> {
    let text = if folder.join(word).exists() {
        located(word, folder)
    } else {
        word.split('+').map(|part| located_part(part, folder)).collect::<Vec<_>>().join("+")
    };
    ModelRef::new(text).map_err(|error| {
        blame.value(key, format!("{word:?}"), format!("a folder or a hub id ({error})"))
    })
}

fn located_part(part: &str, folder: &Path) -> String {
    match part.split_once('@') {
        Some((path, revision)) if !folder.join(part).exists() => {
            format!("{}@{revision}", located(path, folder))
        }
        _ => located(part, folder),
    }
}

fn located(word: &str, folder: &Path) -> String {
    let path = folder.join(word);
    if !word.is_empty() && (path.exists() || word.starts_with(['.', '/'])) {
        std::path::absolute(&path).unwrap_or(path).display().to_string()
    } else {
        word.to_owned()
    }
}
