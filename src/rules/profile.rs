//! A competition's rules, as its file in `profiles/` has them.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Verdict;
use super::code::CodeRules;
use super::disk::DiskRules;
use super::hours::SearchRules;
use super::memory::MemoryRules;
use super::models::ModelRules;
use super::open_data::DataRules;
use super::package::SubmissionRules;
use super::time::TimeRules;

/// The rules of one competition. What it has no table for is not checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// As `--rules` names it.
    pub name: String,
    /// The competition.
    pub title: String,
    /// Where its rules are published.
    pub sources: Vec<String>,
    /// What may be merged.
    pub models: Option<ModelRules>,
    /// What may be searched on.
    pub data: Option<DataRules>,
    /// How long merging and evaluating may take, and on what.
    pub time: Option<TimeRules>,
    /// Of device and host.
    pub memory: Option<MemoryRules>,
    /// Of what is downloaded and written.
    pub disk: Option<DiskRules>,
    /// How long a search may take.
    pub search: Option<SearchRules>,
    /// What Python code may do.
    pub code: Option<CodeRules>,
    /// What is handed in.
    pub submission: Option<SubmissionRules>,
}

/// What a profile makes of something that breaks a rule only by one of its readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Its owner has to look at it.
    Warn,
    /// It is refused.
    Fail,
}

impl From<Severity> for Verdict {
    fn from(severity: Severity) -> Verdict {
        match severity {
            Severity::Warn => Verdict::Warn,
            Severity::Fail => Verdict::Fail,
        }
    }
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// There is none of that name.
    #[error("there are no rules `{name}`; there are: {}; or a file NAME.toml", Profile::NAMES.join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// The file cannot be read.
    #[error("rules {}: cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key is unknown or missing, or a value cannot be used.
    #[error("rules {}: {message}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Line, key, value, and what is valid.
        message: String,
    },
}

const MERGING_2024: &str = include_str!("profiles/merging-2024.toml");
const EFFICIENCY_2023: &str = include_str!("profiles/efficiency-2023.toml");
const SEED: &str = include_str!("profiles/seed.toml");

impl Profile {
    /// The profiles that are built in.
    pub const NAMES: [&str; 3] = ["merging-2024", "efficiency-2023", "seed"];

    /// One that is built in.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Profile, ProfileError> {
        let text = match name {
            "merging-2024" => MERGING_2024,
            "efficiency-2023" => EFFICIENCY_2023,
            "seed" => SEED,
            _ => return Err(ProfileError::Unknown { name: name.to_owned() }),
        };
        Profile::parse(text, Path::new(name))
    }

    /// A file of the user's.
    ///
    /// # Errors
    /// It cannot be read, or says what a profile cannot say.
    pub fn read(file: &Path) -> Result<Profile, ProfileError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ProfileError::Read { file: file.to_owned(), source })?;
        Profile::parse(&text, file)
    }

    fn parse(text: &str, file: &Path) -> Result<Profile, ProfileError> {
        toml::from_str(text).map_err(|error| ProfileError::Invalid {
            file: file.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })
    }

    /// Who says the rule of a [`Finding`](super::Finding).
    pub fn source(&self, rule: &str) -> Option<&str> {
        if rule == "weights" {
            return Some("merge-search: the search and exported classes read safetensors alone");
        }
        let of_models = self.models.as_ref().and_then(|models| models.source(rule));
        let source = match rule {
            "data" | "generated_by" | "overlap" => self.data.as_ref().map(|data| &data.source),
            "time" | "time_measured" => self.time.as_ref().map(|time| &time.source),
            "device_memory" | "host_memory" => self.memory.as_ref().map(|memory| &memory.source),
            "disk" => self.disk.as_ref().map(|disk| &disk.source),
            "search_hours" => self.search.as_ref().map(|search| &search.source),
            "code" | "imports" | "reproducible" => self.code.as_ref().map(|code| &code.source),
            "files" | "digests" | "report" | "csv" => {
                self.submission.as_ref().map(|submission| &submission.source)
            }
            _ => None,
        };
        of_models.or(source.map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_profiles_are_read_and_every_table_says_who_says_it() {
        for name in Profile::NAMES {
            let profile = Profile::named(name).unwrap();
            assert_eq!(profile.name, name);
            assert!(!profile.title.is_empty() && !profile.sources.is_empty(), "{name}");
            for rule in ["data", "time", "device_memory", "search_hours", "code", "files"] {
                if let Some(source) = profile.source(rule) {
                    assert!(source.len() > 10, "{name}: {rule}");
                }
            }
        }
    }

    #[test]
    fn unknown_names_keys_and_devices_are_refused_with_what_is_valid() {
        let unknown = Profile::named("merging-2025").unwrap_err().to_string();
        assert!(
            unknown.contains("merging-2025") && unknown.contains("efficiency-2023"),
            "{unknown}"
        );
        let head = "name = \"x\"\ntitle = \"X\"\nsources = []\n";
        let parse = |more: &str| Profile::parse(&format!("{head}{more}"), Path::new("x.toml"));
        let key = parse("[search]\nsource = \"s\"\nhour = 24\n").unwrap_err().to_string();
        assert!(key.contains("x.toml") && key.contains("hour") && key.contains("hours"), "{key}");
        let time = "[time]\nsource = \"s\"\nminutes = 60\ntracks = [\"a7000\"]\n";
        let device = parse(time).unwrap_err().to_string();
        assert!(device.contains("a7000") && device.contains("a6000"), "{device}");
    }
}
