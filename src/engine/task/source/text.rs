//! Bytes of a file, and their text.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::{DatasetError, FilesDigest};

/// The content; the digest is of the file as it lies there.
pub(super) fn read_bytes(file: &Path, digest: &mut FilesDigest) -> Result<Vec<u8>, DatasetError> {
    if file.is_dir() {
        return Err(DatasetError::Folder { file: file.into() });
    }
    let bytes =
        fs::read(file).map_err(|source| DatasetError::Read { file: file.into(), source })?;
    digest.add(&bytes);
    let bytes = match file.extension().is_some_and(|extension| extension == "gz") {
        true => unpack(file, &bytes)?,
        false => bytes,
    };
    if bytes.is_empty() { Err(DatasetError::Empty { file: file.into() }) } else { Ok(bytes) }
}

fn unpack(file: &Path, packed: &[u8]) -> Result<Vec<u8>, DatasetError> {
    let mut bytes = Vec::new();
    match MultiGzDecoder::new(packed).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(source) => Err(DatasetError::Gzip { file: file.into(), source }),
    }
}

/// UTF-8, without the byte order mark that some editors write.
pub(super) fn decode(file: &Path, bytes: Vec<u8>) -> Result<String, DatasetError> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = 1 + valid.filter(|byte| **byte == b'\n').count();
        DatasetError::Utf8 { file: file.into(), line }
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}
