//! A digest inside the parquet file that it is the digest of.
//!
//! polars trusts a file's bytes: one turned bit can make it panic or ask for terabytes. So the key-value metadata holds the
//! SHA-256 of the whole file, computed with zeros in the digest's own place, and nothing is decoded before it is checked.
//! Other readers see one more metadata key.

use std::ops::Range;

use super::manifest::sha256;

pub(super) const SEAL_KEY: &str = "merge-search.seal";

const MARK: &str = "merge-search file sha256 ";
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// What the metadata holds under [`SEAL_KEY`] until the file is sealed.
pub(super) fn unsealed() -> String {
    MARK.to_owned() + &"0".repeat(DIGITS)
}

/// Puts the digest in its place.
pub(super) fn seal(file: &mut [u8]) {
    let digest = sha256(&*file);
    if let Some(place) = place(file) {
        file[place].copy_from_slice(digest.as_bytes());
    }
}

/// Whether `file` is as it was sealed.
pub(super) fn is_whole(mut file: Vec<u8>) -> bool {
    let Some(place) = place(&file) else {
        return false;
    };
    let recorded = file[place.clone()].to_vec();
    file[place].fill(b'0');
    sha256(&file).as_bytes() == recorded
}

/// The last mark: the metadata stands in the footer, behind all the tables' text.
fn place(file: &[u8]) -> Option<Range<usize>> {
    let mark = MARK.as_bytes();
    let start = file.windows(mark.len()).rposition(|window| window == mark)? + mark.len();
    (start + DIGITS <= file.len()).then_some(start..start + DIGITS)
}
