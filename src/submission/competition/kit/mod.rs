//! The starter kit's two generations, and what a submission changes in them.
//!
//! At its head a class is registered by an import and an entry of a dictionary; before that (up to commit d82d414), by an
//! entry point of the installed package.

mod changes;
mod registration;
mod requirements;
mod setup;

use serde::{Deserialize, Serialize};

pub use changes::changes;
pub use registration::{RegistrationError, register_class, register_import, registrations};
pub use requirements::STANDARD;
pub use setup::{SetupPlace, setup_file};

/// The commit that is meant by the kit's head.
pub const HEAD: &str = "c3b3b060b4c87f28e97317e083639982980bf812";

/// Where the kit's own code imports classes.
pub const IMPORTS: &str = "llm_merging/merging/__init__.py";

/// The kit's program.
pub const MAIN: &str = "llm_merging/main.py";

/// How a kit finds classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Generation {
    /// A dictionary in its program; data in CSV files.
    Head,
    /// Entry points; data in JSON lines.
    EntryPoint,
}

impl Generation {
    /// Told by the text of the kit's program.
    pub fn of(main: &str) -> Generation {
        match main.contains("entry_points(group") {
            true => Generation::EntryPoint,
            false => Generation::Head,
        }
    }

    /// In a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Generation::Head => "head",
            Generation::EntryPoint => "entry-point",
        }
    }
}

/// Where the class goes in a kit of either generation.
pub fn class_path(class: &str) -> String {
    format!("llm_merging/merging/{class}.py")
}
