//! The folder of an exported submission: put together in memory, written whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::kit::{SetupPlace, changes, class_path, registrations, setup_file};
use super::{MANIFEST_FILE, SubmissionManifest};
use crate::record::sha256;
use crate::submission::whole::{at, write_whole};
use crate::submission::{RECIPE_FILE, SubmissionError};

/// Files by their paths in the folder.
pub type Files = BTreeMap<String, String>;

/// The model card.
pub const CARD_FILE: &str = "README.md";

/// The report that competitors hand in, to be completed by them.
pub const REPORT_FILE: &str = "REPORT.md";

/// Holds what goes into the kit's head; what is tarred must be called so.
pub const HEAD_FOLDER: &str = "LLM-Merging";

/// Holds what goes into the kit's generation of entry points.
pub const ENTRY_POINT_FOLDER: &str = "entry-point";

/// What the files are made from.
#[derive(Debug, Clone)]
pub struct ExportTexts<'a> {
    /// The class's name.
    pub class: &'a str,
    /// What it is called on the kit's command line.
    pub method: &'a str,
    /// The class's file.
    pub code: &'a str,
    /// The recipe, its models under their names on the hub.
    pub recipe: &'a str,
    /// The model card.
    pub card: &'a str,
    /// The report.
    pub report: &'a str,
}

/// All files but the manifest.
pub fn export_files(texts: &ExportTexts<'_>) -> Files {
    let ExportTexts { class, method, code, .. } = *texts;
    let setup = setup_file(class, method, code);
    let in_head = |path: &str| format!("{HEAD_FOLDER}/{path}");
    let in_entry_point = |path: &str| format!("{ENTRY_POINT_FOLDER}/{path}");
    let files = [
        (CARD_FILE.to_owned(), texts.card.to_owned()),
        (REPORT_FILE.to_owned(), texts.report.to_owned()),
        (RECIPE_FILE.to_owned(), texts.recipe.to_owned()),
        ("changes.diff".to_owned(), changes(class, method, code, &setup)),
        (in_head(&class_path(class)), code.to_owned()),
        (in_head("registrations.patch"), registrations(class, method)),
        (in_entry_point(&class_path(class)), code.to_owned()),
        (in_entry_point(SetupPlace::Package.path()), setup.clone()),
        (in_head(SetupPlace::Root.path()), setup),
    ];
    files.into_iter().collect()
}

/// Adds the manifest, with the digests of all the others.
pub fn sealed(mut files: Files, manifest: SubmissionManifest) -> Files {
    let digests = files.iter().map(|(path, text)| (path.clone(), sha256(text)));
    let manifest = SubmissionManifest { files: digests.collect(), ..manifest };
    let json = serde_json::to_value(&manifest).unwrap_or_default();
    files.insert(MANIFEST_FILE.to_owned(), format!("{json:#}\n"));
    files
}

/// Writes the folder whole or not at all.
///
/// # Errors
/// It is there and not empty; the disk.
pub fn write_folder(dir: &Path, files: &Files) -> Result<(), SubmissionError> {
    write_whole(dir, |whole| {
        files.iter().try_for_each(|(path, text)| write(&whole.join(path), text))
    })
}

fn write(path: &Path, text: &str) -> Result<(), SubmissionError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(at(parent))?;
    let written = fs::File::create(path).and_then(|mut file| {
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(at(path))
}
