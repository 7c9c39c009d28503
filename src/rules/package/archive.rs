//! The archive that goes into the organisers' form.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::{Handed, class_files};
use crate::rules::{Finding, Verdict};
use crate::submission::competition::HEAD_FOLDER;

/// Of the kit itself: what its README runs.
const MAIN: &str = "llm_merging/main.py";

/// Size of a header, and what contents are padded to (POSIX.1-2017, pax, ustar interchange format).
const BLOCK: usize = 512;

pub(super) fn check(handed: &Handed, path: &str) -> Finding {
    let finding = |verdict, evidence: String| {
        Finding::new("files", path, verdict, evidence).remedy(format!(
            "in the folder above the kit's checkout that registrations.patch was applied to: tar -cvf {path} {HEAD_FOLDER}"
        ))
    };
    let names = match names(&handed.folder.join(path)) {
        Ok(names) => names,
        Err(error) => return finding(Verdict::Fail, format!("{path}: no tar archive: {error}")),
    };
    let names: Vec<&str> = names.iter().map(|name| name.trim_start_matches("./")).collect();
    let outside = |name: &&&str| {
        let root = name.split('/').next().unwrap_or_default();
        ![HEAD_FOLDER, "", "."].contains(&root)
    };
    if let Some(other) = names.iter().find(outside) {
        return finding(Verdict::Fail, format!("{other} is not in {HEAD_FOLDER}"));
    }
    let [class, _] = class_files(handed);
    let required = [format!("{HEAD_FOLDER}/{MAIN}"), class];
    match required.iter().find(|path| !names.contains(&path.as_str())) {
        None => finding(Verdict::Pass, format!("{} entries, all in {HEAD_FOLDER}", names.len())),
        Some(missing) => finding(Verdict::Fail, format!("{missing} is not in {path}")),
    }
}

/// Of all entries but those that only hold long names and the like.
fn names(path: &Path) -> std::io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let mut names = Vec::new();
    let mut header = [0; BLOCK];
    loop {
        match file.read_exact(&mut header) {
            Err(error) if names.is_empty() => return Err(error),
            Err(_) => return Ok(names),
            Ok(()) if header.iter().all(|&byte| byte == 0) => return Ok(names),
            Ok(()) => {}
        }
        let (above, name) = (text(&header, 345, 155), text(&header, 0, 100));
        let name = if above.is_empty() { name } else { format!("{above}/{name}") };
        if !matches!(header.get(156), Some(b'L' | b'K' | b'x' | b'g')) {
            names.push(name);
        }
        let size = u64::from_str_radix(text(&header, 124, 12).trim(), 8)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
        let blocks = size.div_ceil(BLOCK as u64);
        let skipped = i64::try_from(blocks.saturating_mul(BLOCK as u64)).unwrap_or(i64::MAX);
        file.seek(SeekFrom::Current(skipped))?;
    }
}

/// Up to the first zero.
fn text(header: &[u8; BLOCK], from: usize, length: usize) -> String {
    let field = header.get(from..from + length).unwrap_or_default();
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(length);
    String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
}
