//! Mixtures of experts: their table in the file, and their genes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::dimensions::categorical;
use super::document_routing::{check_list, choice};
use super::error::{Blame, SpaceError};
use super::{Dimension, Domain, Expert, GeneKey, SearchSpace, TokenRouting};
use crate::recipe::{GateMode, Prompts};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTokens {
    layers_per_block: Option<usize>,
    gate_modes: Option<Vec<GateMode>>,
    experts_per_token: Option<Vec<usize>>,
    temperature: Option<RawRange>,
    experts: Option<Vec<String>>,
    #[serde(default)]
    prompts: BTreeMap<String, RawPrompts>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRange {
    range: (f64, f64),
}

/// Texts, or `task:NAME`.
#[derive(Debug, Clone)]
enum RawPrompts {
    Texts(Vec<String>),
    Word(String),
}

impl<'de> Deserialize<'de> for RawPrompts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = RawPrompts;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of texts, or \"task:NAME\"")
            }
            fn visit_str<E>(self, word: &str) -> Result<RawPrompts, E> {
                Ok(RawPrompts::Word(word.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<RawPrompts, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(RawPrompts::Texts)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

pub(super) fn check(
    blame: &Blame<'_>,
    raw: &RawTokens,
    all: &[Expert],
) -> Result<TokenRouting, SpaceError> {
    if raw.layers_per_block == Some(0) {
        return Err(blame.value("routing.tokens.layers_per_block", 0, "1 or more layers"));
    }
    let chosen = check_experts(blame, raw, all)?;
    let gate_modes = raw.gate_modes.clone().unwrap_or_else(|| vec![GateMode::HiddenAvg]);
    let words = gate_modes.iter().map(|mode| mode.as_str().to_owned()).collect();
    check_list(blame, "routing.tokens.gate_modes", words)?;
    Ok(TokenRouting {
        layers_per_block: raw.layers_per_block,
        gate_modes,
        experts_per_token: check_counts(blame, raw, chosen.len())?,
        temperature: check_temperature(blame, raw.temperature)?,
        experts: check_prompts(blame, raw, all, chosen)?,
    })
}

/// Indices, in the order given.
fn check_experts(
    blame: &Blame<'_>,
    raw: &RawTokens,
    all: &[Expert],
) -> Result<Vec<usize>, SpaceError> {
    let key = "routing.tokens.experts";
    let names: Vec<String> = all.iter().map(|expert| expert.name.clone()).collect();
    let words = raw.experts.clone().unwrap_or_else(|| names.clone());
    check_list(blame, key, words.clone())?;
    let index = |word: &String| {
        let found = names.iter().position(|name| name == word);
        found.ok_or_else(|| blame.value(key, format!("`{word}`"), names.join(", ")))
    };
    let chosen = words.iter().map(index).collect::<Result<Vec<_>, _>>()?;
    if chosen.len() < 2 {
        return Err(blame.value(key, format!("{} long", chosen.len()), "two experts or more"));
    }
    Ok(chosen)
}

/// Two where nothing is said, as Mixtral has it.
fn check_counts(
    blame: &Blame<'_>,
    raw: &RawTokens,
    experts: usize,
) -> Result<Vec<usize>, SpaceError> {
    let key = "routing.tokens.experts_per_token";
    let counts = raw.experts_per_token.clone().unwrap_or_else(|| vec![2]);
    check_list(blame, key, counts.iter().map(ToString::to_string).collect())?;
    match counts.iter().find(|count| !(1..=experts).contains(*count)) {
        None => Ok(counts),
        Some(count) => {
            let valid = format!("1 to {experts}, the number of experts");
            Err(blame.value(key, count, valid))
        }
    }
}

fn check_temperature(
    blame: &Blame<'_>,
    raw: Option<RawRange>,
) -> Result<Option<(f64, f64)>, SpaceError> {
    let Some(RawRange { range: (low, high) }) = raw else {
        return Ok(None);
    };
    if 0.0 < low && low < high && high <= 1000.0 {
        return Ok(Some((low, high)));
    }
    let valid = "low < high, both greater than 0 and at most 1000";
    Err(blame.value("routing.tokens.temperature.range", format!("[{low}, {high}]"), valid))
}

fn check_prompts(
    blame: &Blame<'_>,
    raw: &RawTokens,
    all: &[Expert],
    chosen: Vec<usize>,
) -> Result<Vec<(usize, Option<Prompts>)>, SpaceError> {
    let name = |expert: &usize| all.get(*expert).map_or("", |expert| expert.name.as_str());
    let names: Vec<&str> = chosen.iter().map(name).collect();
    if let Some(word) = raw.prompts.keys().find(|word| !names.contains(&word.as_str())) {
        return Err(blame.value("routing.tokens.prompts", format!("`{word}`"), names.join(", ")));
    }
    let of = |expert: &usize| {
        let given = raw.prompts.get(name(expert));
        let prompts = given.map(|prompts| check_texts(blame, name(expert), prompts)).transpose();
        Ok((*expert, prompts?))
    };
    chosen.iter().map(of).collect()
}

fn check_texts(blame: &Blame<'_>, expert: &str, raw: &RawPrompts) -> Result<Prompts, SpaceError> {
    let wrong = |found: String| {
        let key = format!("routing.tokens.prompts.{expert}");
        blame.value(&key, found, "a list of one text or more, or \"task:NAME\"")
    };
    match raw {
        RawPrompts::Texts(texts) if texts.is_empty() => Err(wrong("empty".to_owned())),
        RawPrompts::Texts(texts) => Ok(Prompts::Texts(texts.clone())),
        RawPrompts::Word(word) => match word.strip_prefix("task:") {
            Some(task) if !task.is_empty() => Ok(Prompts::Task(task.to_owned())),
            _ => Err(wrong(format!("{word:?}"))),
        },
    }
}

impl SearchSpace {
    /// Blocks of layers that are routed or not; none where all layers are routed always.
    pub(super) fn token_blocks(&self, layers: usize) -> usize {
        let size = self.routing.tokens.as_ref().and_then(|tokens| tokens.layers_per_block);
        size.map_or(0, |size| layers.div_ceil(size.max(1)))
    }

    /// Which layers are routed, and how.
    pub(super) fn token_genes(&self, layers: usize) -> Vec<(GeneKey, Dimension)> {
        let Some(routing) = &self.routing.tokens else {
            return Vec::new();
        };
        let mut genes = Vec::new();
        for block in 0..self.token_blocks(layers) {
            // The first choice is where a search starts.
            let choices = ["dense", "routed"].map(str::to_owned).to_vec();
            let dimension = categorical(format!("experts.{block}"), choices);
            genes.push((GeneKey::Routed { block }, dimension));
        }
        let modes = routing.gate_modes.iter().map(|mode| mode.as_str().to_owned()).collect();
        genes.extend(choice(GeneKey::GateMode, "experts.gate_mode", modes));
        let counts = routing.experts_per_token.iter().map(ToString::to_string).collect();
        genes.extend(choice(GeneKey::ExpertsPerToken, "experts.per_token", counts));
        genes.extend(routing.temperature.map(temperature_gene));
        for (expert, prompts) in &routing.experts {
            if prompts.is_none() {
                let name = format!("experts.task.{}", self.model_name(expert + 1));
                let key = GeneKey::ExpertTask { expert: *expert };
                genes.extend(choice(key, &name, self.task_labels()));
            }
        }
        genes
    }
}

/// Starts at 1, which leaves the gates as they are, where the range has it.
fn temperature_gene((low, high): (f64, f64)) -> (GeneKey, Dimension) {
    let dimension = Dimension {
        name: "experts.temperature".to_owned(),
        domain: Domain::Continuous { low, high },
        initial: (low..=high).contains(&1.0).then_some(1.0),
    };
    (GeneKey::Temperature, dimension)
}
