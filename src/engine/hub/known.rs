//! Models of the hub that competitions are about, so that sizes, licences and dates can be told without the hub.
//!
//! `known/*.toml` has one table per model, a file per family. What stands there was read in public text, which `sources` name, or
//! follows from it; what was not found is left out and is not known.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

/// What is known of one commit of a repository. What is `None` is not known.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownModel {
    /// `owner/name`.
    pub id: String,
    /// Commit, 40 hexadecimal digits.
    pub revision: Option<String>,
    /// Day of that commit, `2024-04-18`.
    pub committed: Option<String>,
    /// The hub's word: `apache-2.0`, `llama3`, `other`…
    pub license: Option<String>,
    /// Where `license` is `other`.
    pub license_name: Option<String>,
    /// Where the licence's text is.
    pub license_link: Option<String>,
    /// `owner/name` of the model that it was made from.
    pub base_model: Option<String>,
    /// Whether a token of an approved account is needed.
    pub gated: Option<bool>,
    /// Sum over all tensors, tied ones once.
    pub parameters: Option<u64>,
    /// Of its safetensors files, to the three digits that the hub's pages show.
    pub bytes: Option<u64>,
    /// Whether that commit has its weights as safetensors.
    pub safetensors: Option<bool>,
    /// `config.json`, or what of it says the network's shape.
    #[serde(default)]
    pub config: Option<Value>,
    /// `adapter_config.json`, or what of it counts.
    #[serde(default)]
    pub adapter_config: Option<Value>,
    /// Where all this was read.
    pub sources: Vec<String>,
}

macro_rules! files {
    ($($name:literal),*) => { [$(include_str!(concat!("known/", $name))),*] };
}

const FILES: [&str; 10] = files!(
    "albert.toml",
    "bart.toml",
    "bert.toml",
    "bloom.toml",
    "gemma.toml",
    "llama-2.toml",
    "llama-3.toml",
    "mistral.toml",
    "t5.toml",
    "tinyllama.toml"
);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    model: Vec<KnownModel>,
}

// A test parses each of them.
static CATALOGUE: LazyLock<Vec<KnownModel>> = LazyLock::new(|| {
    let families = FILES.iter().filter_map(|text| toml::from_str::<Family>(text).ok());
    families.flat_map(|family| family.model).collect()
});

/// All of them, family by family.
pub fn catalogue() -> &'static [KnownModel] {
    &CATALOGUE
}

/// What is known of a repository.
pub fn known(id: &str) -> Option<&'static KnownModel> {
    catalogue().iter().find(|model| model.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_file_is_read_and_names_a_model_once() {
        let mut ids = BTreeSet::new();
        for text in FILES {
            let family: Family = toml::from_str(text).unwrap();
            for model in family.model {
                assert_eq!(known(&model.id), Some(&model));
                assert!(ids.insert(model.id.clone()), "{} twice", model.id);
            }
        }
        assert_eq!(known("owner/unheard-of"), None);
    }

    #[test]
    fn what_is_said_has_the_form_and_the_source_that_readers_rely_on() {
        let is_day = |day: &str| {
            let mut parts = day.split('-').map(|part| (part.len(), part.parse::<u32>()));
            let date = [parts.next(), parts.next(), parts.next(), parts.next()];
            matches!(
                date,
                [Some((4, Ok(2018..))), Some((2, Ok(1..=12))), Some((2, Ok(1..=31))), None]
            )
        };
        for model in catalogue() {
            let id = &model.id;
            assert!(model.revision.as_deref().is_none_or(crate::hub::is_commit), "{id}");
            assert!(model.committed.as_deref().is_none_or(is_day), "{id}");
            assert!(model.committed.is_none() || model.revision.is_some(), "{id}");
            assert!(!model.sources.is_empty(), "{id} has no source");
            let one_shape = model.config.is_some() != model.adapter_config.is_some();
            assert!(one_shape, "{id} is a model or an adapter");
            let about = |word: &str| model.sources.iter().any(|source| source.contains(word));
            assert!(model.gated.is_none() || about("gated"), "{id}: who says it is gated?");
            assert!(model.license.is_none() || about("licence"), "{id}: whose licence?");
            assert!(model.revision.is_none() || about("revision"), "{id}: whose revision?");
            assert!(model.committed.is_none() || about("day"), "{id}: whose day?");
        }
    }
}
