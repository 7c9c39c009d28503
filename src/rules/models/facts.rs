//! What is known of a model.

use serde_json::Value;

use super::Licence;
use crate::model::NetworkSpec;

/// A value and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<T> {
    /// The value.
    pub value: T,
    /// A file, a key, a page.
    pub place: String,
}

impl<T> Told<T> {
    pub(super) fn new(value: T, place: impl Into<String>) -> Told<T> {
        Told { value, place: place.into() }
    }
}

/// A model of a search, with all that its licence hangs on.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// `base`, an expert's name, `tokenizer`.
    pub name: String,
    /// The repository or folder.
    pub model: RepositoryFacts,
    /// Of an adapter on it.
    pub adapter: Option<RepositoryFacts>,
    /// What the model and the adapter say they were made from, nearest first; a model that is named more than once is here
    /// once.
    pub ancestors: Vec<Ancestor>,
    /// `a -> b -> a`, where cards name each other.
    pub cycles: Vec<String>,
}

/// A model that another was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Ancestor {
    /// Who names it, and where.
    pub named_by: Told<String>,
    /// It.
    pub facts: RepositoryFacts,
}

impl ModelFacts {
    /// The model, the adapter and the ancestors.
    pub fn chain(&self) -> impl Iterator<Item = &RepositoryFacts> {
        let ancestors = self.ancestors.iter().map(|ancestor| &ancestor.facts);
        [&self.model].into_iter().chain(&self.adapter).chain(ancestors)
    }
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightFiles {
    /// As safetensors, which are read here and by exported classes.
    Safetensors,
    /// As Python's pickles alone.
    Pickled,
    /// In files, or beside a config, that cannot be read.
    Damaged,
}

/// A repository at one commit, or a folder. What is `None` is not known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RepositoryFacts {
    /// As it was named: `owner/name`, or a folder.
    pub id: String,
    /// Branch, tag or commit, as it was named.
    pub revision: Option<String>,
    /// Not on the hub.
    pub local: bool,
    /// Commit that `revision` stands for, 40 hexadecimal digits.
    pub commit: Option<Told<String>>,
    /// Day of the commit, `2024-04-18`.
    pub committed: Option<Told<String>>,
    /// Of the model, by its card.
    pub licence: Option<Told<Licence>>,
    /// Where its card is, with or without a licence.
    pub card: Option<String>,
    /// `owner/name` of what it was made from, by its card or its adapter_config.json.
    pub parents: Vec<Told<String>>,
    /// The card's `tags`.
    pub tags: Vec<String>,
    /// Whether a token of an approved account is needed.
    pub gated: Option<Told<bool>>,
    /// Elements in the weight files, tied tensors once.
    pub parameters: Option<Told<u64>>,
    /// Of the weight files.
    pub bytes: Option<Told<u64>>,
    /// How the weights are stored; the place of damage is what is wrong.
    pub weights: Option<Told<WeightFiles>>,
    /// `config.json`, or what is known of it.
    pub config: Option<Told<Value>>,
    /// `adapter_config.json`.
    pub adapter_config: Option<Told<Value>>,
    /// Whether there is a chat template.
    pub chat_template: Option<Told<bool>>,
    /// Files that cannot be read, answers that did not come.
    pub faults: Vec<String>,
    /// What the hub said where it has no such model or revision.
    pub absent: Option<String>,
}

impl RepositoryFacts {
    /// Nothing is known but the name.
    pub(super) fn named(id: &str, revision: Option<&str>) -> RepositoryFacts {
        RepositoryFacts {
            id: id.to_owned(),
            revision: revision.map(str::to_owned),
            ..RepositoryFacts::default()
        }
    }

    /// Takes from `other` what is not known yet.
    pub(super) fn fill(&mut self, other: RepositoryFacts) {
        fn fill<T>(own: &mut Option<T>, other: Option<T>) {
            *own = own.take().or(other);
        }
        fill(&mut self.commit, other.commit);
        fill(&mut self.committed, other.committed);
        fill(&mut self.licence, other.licence);
        fill(&mut self.card, other.card);
        fill(&mut self.gated, other.gated);
        fill(&mut self.parameters, other.parameters);
        fill(&mut self.bytes, other.bytes);
        fill(&mut self.weights, other.weights);
        fill(&mut self.config, other.config);
        fill(&mut self.adapter_config, other.adapter_config);
        fill(&mut self.chat_template, other.chat_template);
        fill(&mut self.absent, other.absent);
        if self.parents.is_empty() {
            self.parents = other.parents;
        }
        if self.tags.is_empty() {
            self.tags = other.tags;
        }
        self.faults.extend(other.faults);
    }

    /// The same as a text of a search space has it.
    pub fn reference(&self) -> String {
        match &self.revision {
            Some(revision) => format!("{}@{revision}", self.id),
            None => self.id.clone(),
        }
    }

    /// `model_type` of the config.
    pub(super) fn model_type(&self) -> Option<&str> {
        self.config.as_ref()?.value.get("model_type")?.as_str()
    }

    /// Elements that a model of this config has, tied tensors once; `None` without a config, or of a family that is not
    /// counted here.
    pub fn parameters_by_config(&self) -> Option<Told<u64>> {
        let config = self.config.as_ref()?;
        let spec = NetworkSpec::from_config_alone(&config.value).ok()?;
        Some(Told::new(spec.parameters(), config.place.clone()))
    }
}
