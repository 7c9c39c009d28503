//! Facts that a user vouches for, for machines that cannot ask the hub.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::folder::base_of_adapter;
use super::{Licence, RepositoryFacts, Told, WeightFiles};
use crate::hub::KnownModel;

/// Models by id, as a file of `[[model]]` tables with the keys of [`KnownModel`] has them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    file: PathBuf,
    models: Vec<KnownModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvidence {
    #[serde(default, rename = "model")]
    models: Vec<KnownModel>,
}

/// Why a file of evidence cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// It cannot be read.
    #[error("cannot read evidence {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key is unknown or missing, or of the wrong type.
    #[error("evidence {}: {message}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Line, key, and what is valid.
        message: String,
    },
    /// A value means nothing.
    #[error("evidence {}: `{key}` of {id} is {value:?}; valid: {valid}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// Of which model.
        id: String,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        valid: &'static str,
    },
    /// The same commit of the same model twice.
    #[error("evidence {}: {id} at revision {revision} is there twice", file.display())]
    Twice {
        /// The file.
        file: PathBuf,
        /// Of which model.
        id: String,
        /// Its commit, or `none`.
        revision: String,
    },
}

impl Evidence {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub fn read(file: &Path) -> Result<Evidence, EvidenceError> {
        let text = fs::read_to_string(file)
            .map_err(|source| EvidenceError::Read { file: file.to_owned(), source })?;
        let invalid = |error: toml::de::Error| EvidenceError::Invalid {
            file: file.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        };
        let raw: RawEvidence = toml::from_str(&text).map_err(invalid)?;
        let evidence = Evidence { file: file.to_owned(), models: raw.models };
        evidence.models.iter().try_for_each(|model| evidence.require_valid(model))?;
        evidence.require_once()?;
        Ok(evidence)
    }

    fn require_valid(&self, model: &KnownModel) -> Result<(), EvidenceError> {
        let values = [
            ("revision", &model.revision, is_commit as fn(&str) -> bool, "40 digits 0-9, a-f"),
            ("committed", &model.committed, is_day, "a day like 2024-04-18"),
        ];
        for (key, value, is_valid, valid) in values {
            if let Some(value) = value.as_ref().filter(|value| !is_valid(value)) {
                let (file, id) = (self.file.clone(), model.id.clone());
                return Err(EvidenceError::Value { file, id, key, value: value.clone(), valid });
            }
        }
        Ok(())
    }

    fn require_once(&self) -> Result<(), EvidenceError> {
        let key = |model: &KnownModel| (model.id.clone(), model.revision.clone());
        for (i, model) in self.models.iter().enumerate() {
            if self.models.iter().take(i).any(|earlier| key(earlier) == key(model)) {
                let (id, revision) = key(model);
                let revision = revision.unwrap_or_else(|| "none".to_owned());
                return Err(EvidenceError::Twice { file: self.file.clone(), id, revision });
            }
        }
        Ok(())
    }

    /// What it says of a model: first of that revision, then of others.
    pub(super) fn of(&self, id: &str, revision: Option<&str>) -> Vec<RepositoryFacts> {
        let mut models: Vec<&KnownModel> = self.models.iter().filter(|it| it.id == id).collect();
        models.sort_by_key(|model| model.revision.as_deref() != revision);
        models.into_iter().map(|model| of_known(model, revision, &self.name())).collect()
    }

    /// The day of any commit of a model.
    pub(super) fn day(&self, id: &str) -> Option<Told<String>> {
        let mut days = self.models.iter().filter(|model| model.id == id);
        days.find_map(|model| day_of_known(model, &self.name()))
    }

    fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The day of the commit that is known, whichever it is.
pub(super) fn day_of_known(model: &KnownModel, catalogue: &str) -> Option<Told<String>> {
    let day = model.committed.clone()?;
    let revision = model.revision.as_deref().unwrap_or("unknown");
    Some(Told::new(day, format!("{catalogue}, of revision {revision}")))
}

/// What the catalogue, or a file like it, says of a model. The day of another commit than `revision` is left out.
pub(super) fn of_known(
    model: &KnownModel,
    revision: Option<&str>,
    catalogue: &str,
) -> RepositoryFacts {
    let is_it = model.revision.is_some() && model.revision.as_deref() == revision;
    let other = model.revision.as_deref().filter(|_| !is_it);
    let of_other = other.map_or_else(String::new, |other| format!(", of revision {other}"));
    let place = |topics: &[&str]| format!("{catalogue}{}{of_other}", source(model, topics));
    let licence = model.license.as_deref().map(|id| Licence {
        name: model.license_name.clone(),
        link: model.license_link.clone(),
        ..Licence::of(id)
    });
    let shape = place(&["config"]);
    let told = |value: &Option<serde_json::Value>| value.clone().map(|it| Told::new(it, &*shape));
    let adapter_config = told(&model.adapter_config);
    let base = model.base_model.clone().map(|id| Told::new(id, place(&["base model"])));
    let day = model.committed.clone().filter(|_| is_it);
    let weights = model.safetensors.filter(|_| is_it);
    RepositoryFacts {
        committed: day.map(|day| Told::new(day, place(&["day"]))),
        licence: licence.map(|licence| Told::new(licence, place(&["licence"]))),
        parents: base
            .into_iter()
            .chain(adapter_config.as_ref().and_then(base_of_adapter))
            .collect(),
        gated: model.gated.map(|gated| Told::new(gated, place(&["gated"]))),
        // Elements follow from a shape where no source counts them.
        parameters: model
            .parameters
            .map(|count| Told::new(count, place(&["parameters", "config", "rank"]))),
        bytes: model.bytes.map(|bytes| Told::new(bytes, place(&["files"]))),
        config: told(&model.config),
        adapter_config,
        weights: weights.map(|has_them| weights_of(model, has_them, catalogue)),
        ..RepositoryFacts::default()
    }
}

fn weights_of(model: &KnownModel, has_safetensors: bool, catalogue: &str) -> Told<WeightFiles> {
    let (files, words) = match has_safetensors {
        true => (WeightFiles::Safetensors, "safetensors"),
        false => (WeightFiles::Pickled, "no safetensors"),
    };
    Told::new(files, format!("{words} in {} ({catalogue})", model.id))
}

/// `: ` and the source that begins with the first of the topics that has one (`licence: huggingface.co/…`), or nothing.
fn source(model: &KnownModel, topics: &[&str]) -> String {
    let about = |topic: &&str| {
        let names =
            |source: &&String| source.split_once(": ").is_some_and(|it| it.0.contains(*topic));
        model.sources.iter().find(names)
    };
    topics.iter().find_map(about).map_or_else(String::new, |source| format!(": {source}"))
}

/// A whole commit hash.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `YYYY-MM-DD`, which sorts as days do.
pub(super) fn is_day(text: &str) -> bool {
    let digits = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    digits(year, 4)
        && digits(month, 2)
        && digits(day, 2)
        && ("01"..="12").contains(month)
        && ("01"..="31").contains(day)
}
