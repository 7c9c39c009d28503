//! The user's checkout of the starter kit, and a copy of it with the submission in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use merge_search::submission::competition::ENTRY_POINT_FOLDER;
use merge_search::submission::competition::HEAD_FOLDER;
use merge_search::submission::competition::kit::{
    Generation, IMPORTS, MAIN, SetupPlace, class_path, register_class, register_import,
};
use tempfile::TempDir;

use super::{Failure, Subject};

/// Not needed to run, and possibly large.
const LEFT_OUT: [&str; 4] = [".git", "output", "__pycache__", ".venv"];

/// A checkout, never written to.
pub struct Checkout {
    folder: PathBuf,
    main: String,
    pub generation: Generation,
    /// Whether its program has to be told what its files ask for.
    pub takes_kinds: bool,
}

impl Checkout {
    /// Looks whether it is one.
    pub fn open(folder: &Path) -> Result<Checkout, Failure> {
        let path = folder.join(MAIN);
        let main = fs::read_to_string(&path).map_err(|error| {
            let message = format!("--dry-run-kit: cannot read {}: {error}", path.display());
            Failure::input(message).remedy(
                "give a checkout of the starter kit: git clone https://github.com/llm-merging/LLM-Merging",
            )
        })?;
        Ok(Checkout {
            folder: folder.to_owned(),
            generation: Generation::of(&main),
            takes_kinds: main.contains("--eval_types"),
            main,
        })
    }

    /// A copy that knows the class; removed when it is dropped.
    pub fn copy_with(&self, subject: &Subject) -> Result<TempDir, Failure> {
        let copy = tempfile::Builder::new()
            .prefix("merge-search-kit-")
            .tempdir()
            .map_err(|error| Failure::input(format!("cannot copy the kit: {error}")))?;
        copy_tree(&self.folder, copy.path()).map_err(|error| {
            Failure::input(format!("cannot copy the kit {}: {error}", self.folder.display()))
        })?;
        match self.generation {
            Generation::Head => self.enter_at_head(subject, copy.path())?,
            Generation::EntryPoint => enter_files(
                &subject.folder.join(ENTRY_POINT_FOLDER),
                copy.path(),
                &[class_path(subject.class), SetupPlace::Package.path().to_owned()],
            )?,
        }
        Ok(copy)
    }

    fn enter_at_head(&self, subject: &Subject, copy: &Path) -> Result<(), Failure> {
        let files = [class_path(subject.class), SetupPlace::Root.path().to_owned()];
        enter_files(&subject.folder.join(HEAD_FOLDER), copy, &files)?;
        let main = register_class(&self.main, subject.class, subject.method).map_err(|error| {
            Failure::from_error(&error).at(&self.folder.display().to_string()).remedy(
                "enter the class by hand in a copy of the checkout, and give that to --dry-run-kit",
            )
        })?;
        write(&copy.join(MAIN), &main)?;
        let path = copy.join(IMPORTS);
        let imports = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| {
                Failure::input(format!("--dry-run-kit: cannot read {}: {error}", path.display()))
            })?,
        };
        write(&path, &register_import(&imports, subject.class))
    }
}

fn enter_files(export: &Path, copy: &Path, files: &[String]) -> Result<(), Failure> {
    files.iter().try_for_each(|file| {
        fs::copy(export.join(file), copy.join(file)).map(drop).map_err(|error| {
            Failure::input(format!("cannot put {file} into the copy of the kit: {error}"))
                .remedy("--dry-run-kit needs a whole checkout of the starter kit")
        })
    })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)
        .map_err(|error| Failure::input(format!("cannot write {}: {error}", path.display())))
}

/// Linked folders (data, environments) are linked, not copied.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, source) = (entry.file_name(), entry.path());
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_tree(&source, &target)?;
        } else if source.is_dir() {
            std::os::unix::fs::symlink(fs::canonicalize(&source)?, &target)?;
        } else if source.is_file() {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
