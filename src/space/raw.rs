//! A search-space file as typed: every key that may stand in it, nothing checked but the syntax.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::document_routing::RawDocuments;
use super::layer_routing::RawLayerRouting;
use super::prompt_routing::RawPrompts;
use super::token_routing::RawTokens;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSpace {
    pub name: String,
    pub models: RawModels,
    pub merge: RawMerge,
    #[serde(default)]
    pub parameters: BTreeMap<String, RawParameter>,
    pub tasks: RawTasks,
    #[serde(default)]
    pub objectives: Option<Vec<String>>,
    #[serde(default)]
    pub objective: RawObjective,
    #[serde(default)]
    pub routing: RawRouting,
    #[serde(default)]
    pub optimizer: RawOptimizer,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRouting {
    pub layers: Option<RawLayerRouting>,
    pub documents: Option<RawDocuments>,
    pub tokens: Option<RawTokens>,
    #[serde(default)]
    pub prompts: BTreeMap<String, RawPrompts>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModels {
    pub base: String,
    /// Name → folder or hub id, in the file's order.
    pub experts: toml::Table,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMerge {
    pub methods: Vec<String>,
    #[serde(default)]
    pub choose_experts: bool,
    #[serde(default)]
    pub groups: Vec<RawGroup>,
    #[serde(default)]
    pub control_points: Option<i64>,
    #[serde(default)]
    pub layer_granularity: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTasks {
    pub folders: Vec<String>,
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    #[serde(default)]
    pub search_docs: Option<i64>,
    #[serde(default)]
    pub selection_docs: Option<i64>,
    #[serde(default)]
    pub holdout_docs: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawObjective {
    #[serde(default)]
    pub aggregate: Option<String>,
    #[serde(default)]
    pub zero_floor: Option<f64>,
    #[serde(default)]
    pub rivals: Option<String>,
    #[serde(default)]
    pub hidden: Option<Vec<String>>,
    #[serde(default)]
    pub hidden_weight: Option<f64>,
    #[serde(default)]
    pub tie_break: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOptimizer {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub population: Option<i64>,
    #[serde(default)]
    pub sigma: Option<f64>,
    #[serde(default)]
    pub covariance: Option<String>,
    #[serde(default)]
    pub restarts: Option<String>,
    #[serde(default)]
    pub active: Option<bool>,
    #[serde(default)]
    pub warm_start: Option<RawWords>,
    #[serde(default)]
    pub coarse_to_fine: Option<bool>,
    #[serde(default)]
    pub racing: Option<bool>,
    #[serde(default)]
    pub first_share: Option<f64>,
    #[serde(default)]
    pub anchor_share: Option<f64>,
    #[serde(default)]
    pub resamples: Option<i64>,
    #[serde(default)]
    pub surrogate: Option<bool>,
}

/// A string, or a list of strings.
#[derive(Debug, Clone)]
pub(super) struct RawWords(pub Vec<String>);

/// A word, or a table `{ filter = "..." }`.
#[derive(Debug, Clone)]
pub(super) enum RawGroup {
    Name(String),
    Filter(String),
}

/// A parameter's right-hand side: a number, a boolean, or a table that makes genes of it.
#[derive(Debug, Clone)]
pub(super) enum RawParameter {
    Number(f64),
    Boolean(bool),
    Genes(RawGenes),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGenes {
    #[serde(default)]
    pub range: Option<(f64, f64)>,
    #[serde(default)]
    pub step: Option<f64>,
    #[serde(default)]
    pub initial: Option<f64>,
    #[serde(default)]
    pub choices: Option<Vec<RawChoice>>,
    #[serde(default)]
    pub per: Vec<String>,
}

/// A number or a boolean.
#[derive(Debug, Clone, Copy)]
pub(super) enum RawChoice {
    Number(f64),
    Boolean(bool),
}

// Visitors instead of `#[serde(untagged)]`, whose errors name neither key nor value.
impl<'de> Deserialize<'de> for RawParameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParameterVisitor)
    }
}

struct ParameterVisitor;

impl<'de> Visitor<'de> for ParameterVisitor {
    type Value = RawParameter;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true/false, or a table with `range` or `choices`")
    }
    fn visit_f64<E>(self, number: f64) -> Result<RawParameter, E> {
        Ok(RawParameter::Number(number))
    }
    fn visit_i64<E>(self, number: i64) -> Result<RawParameter, E> {
        Ok(RawParameter::Number(number as f64))
    }
    fn visit_bool<E>(self, value: bool) -> Result<RawParameter, E> {
        Ok(RawParameter::Boolean(value))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawParameter, A::Error> {
        RawGenes::deserialize(MapAccessDeserializer::new(map)).map(RawParameter::Genes)
    }
}

impl<'de> Deserialize<'de> for RawWords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = RawWords;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or a list of strings")
    }
    fn visit_str<E>(self, word: &str) -> Result<RawWords, E> {
        Ok(RawWords(vec![word.to_owned()]))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<RawWords, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(RawWords)
    }
}

impl<'de> Deserialize<'de> for RawGroup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GroupVisitor)
    }
}

struct GroupVisitor;

impl<'de> Visitor<'de> for GroupVisitor {
    type Value = RawGroup;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a group, or { filter = \"part of the tensors' names\" }")
    }
    fn visit_str<E>(self, word: &str) -> Result<RawGroup, E> {
        Ok(RawGroup::Name(word.to_owned()))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawGroup, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct RawFilter {
            filter: String,
        }
        let raw = RawFilter::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RawGroup::Filter(raw.filter))
    }
}

impl<'de> Deserialize<'de> for RawChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChoiceVisitor)
    }
}

struct ChoiceVisitor;

impl Visitor<'_> for ChoiceVisitor {
    type Value = RawChoice;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or true/false")
    }
    fn visit_f64<E>(self, number: f64) -> Result<RawChoice, E> {
        Ok(RawChoice::Number(number))
    }
    fn visit_i64<E>(self, number: i64) -> Result<RawChoice, E> {
        Ok(RawChoice::Number(number as f64))
    }
    fn visit_bool<E>(self, value: bool) -> Result<RawChoice, E> {
        Ok(RawChoice::Boolean(value))
    }
}
