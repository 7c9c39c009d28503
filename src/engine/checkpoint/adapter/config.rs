//! `adapter_config.json`: the fields that the merged weights depend on, with PEFT's defaults.

use std::path::Path;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::AdapterError;
use crate::checkpoint::{CheckpointError, open};

/// Checked: only what `W + scale B A` needs.
#[derive(Debug)]
pub(super) struct AdapterConfig {
    pub(super) base_model: Option<String>,
    /// The stored weights are `[in, out]`, as in GPT-2.
    pub(super) fan_in_fan_out: bool,
    rank: usize,
    alpha: f64,
    /// Scale `alpha / sqrt(rank)` instead of `alpha / rank` (Kalajdzievski 2023, "A rank stabilization scaling factor
    /// for fine-tuning with LoRA").
    rank_stabilized: bool,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
}

/// Each of these, when set, makes the adapter something else than `W + scale B A` on the base model's linear layers.
const OFF: [&str; 11] = [
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "megatron_config",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
];

/// Initialisations that leave the base model as it is. The others (PiSSA, OLoRA, CorDA, LoftQ, …) take the first
/// `scale B A` out of it, which the stored factors do not tell.
const INITIALISATIONS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// PEFT's, for `r` and for `lora_alpha`.
const DEFAULT: u8 = 8;

/// Bytes of one compiled pattern; those of real adapters need far less.
const PATTERN_BYTES: usize = 1 << 18;

impl AdapterConfig {
    pub(super) fn read(path: &Path) -> Result<AdapterConfig, AdapterError> {
        let json = open::read_json(path)?;
        let wrong = || key(path, "peft_type", "in a JSON object");
        let fields = Fields { path, map: json.as_object().ok_or_else(wrong)? };
        fields.require_plain_lora()?;
        let rank = fields.number("r", "a whole number above 0", positive)?;
        let alpha = fields.number("lora_alpha", FINITE, finite)?;
        Ok(AdapterConfig {
            base_model: fields.text("base_model_name_or_path")?,
            fan_in_fan_out: fields.flag("fan_in_fan_out")?,
            rank: rank.unwrap_or_else(|| usize::from(DEFAULT)),
            alpha: alpha.unwrap_or_else(|| f64::from(DEFAULT)),
            rank_stabilized: fields.flag("use_rslora")?,
            ranks: fields.patterns("rank_pattern", "whole numbers above 0", positive)?,
            alphas: fields.patterns("alpha_pattern", "finite numbers", finite)?,
        })
    }

    /// The rank of the factors for the layer at `module`, a path like `model.layers.0.self_attn.q_proj`.
    pub(super) fn rank(&self, module: &str) -> usize {
        first_match(&self.ranks, module).unwrap_or(self.rank)
    }

    /// What `B A` is multiplied with.
    pub(super) fn scale(&self, module: &str) -> f64 {
        let rank = self.rank(module) as f64;
        let alpha = first_match(&self.alphas, module).unwrap_or(self.alpha);
        alpha / if self.rank_stabilized { rank.sqrt() } else { rank }
    }
}

const FINITE: &str = "a finite number";

fn first_match<T: Copy>(patterns: &[(Regex, T)], module: &str) -> Option<T> {
    patterns.iter().find(|(pattern, _)| pattern.is_match(module)).map(|(_, value)| *value)
}

fn positive(value: &Value) -> Option<usize> {
    value.as_u64().filter(|rank| *rank > 0).and_then(|rank| usize::try_from(rank).ok())
}

fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

/// PEFT matches from the start, or from after a dot, to the end.
fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!(r"^(?:.*\.)?(?:{text})$")).size_limit(PATTERN_BYTES).build()
}

fn key(path: &Path, key: &str, expected: &'static str) -> AdapterError {
    CheckpointError::Key { path: path.to_owned(), key: key.to_owned(), expected }.into()
}

/// The file, and the object in it.
struct Fields<'a> {
    path: &'a Path,
    map: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn require_plain_lora(&self) -> Result<(), AdapterError> {
        if self.map.get("peft_type").and_then(Value::as_str) != Some("LORA") {
            return Err(self.unsupported("peft_type", "\"LORA\""));
        }
        for key in OFF {
            if self.map.get(key).is_some_and(is_set) {
                return Err(self.unsupported(key, "null or false"));
            }
        }
        let keeps_base = self.map.get("init_lora_weights").is_none_or(|value| match value {
            Value::String(name) => INITIALISATIONS.contains(&name.as_str()),
            other => other.is_boolean() || other.is_null(),
        });
        if !keeps_base {
            let valid = "true, false, \"gaussian\", \"eva\", \"orthogonal\" (others change the base model: save the \
                         adapter with PEFT's `path_initial_model_for_weight_conversion`)";
            return Err(self.unsupported("init_lora_weights", valid));
        }
        Ok(())
    }

    fn unsupported(&self, key: &'static str, valid: &'static str) -> AdapterError {
        let value = self.map.get(key).map_or_else(|| "missing".to_owned(), Value::to_string);
        let value = value.chars().take(80).collect();
        AdapterError::Unsupported { path: self.path.to_owned(), key, value, valid }
    }

    fn present(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn flag(&self, name: &'static str) -> Result<bool, AdapterError> {
        let wrong = || key(self.path, name, "true or false");
        self.present(name).map_or(Ok(false), |value| value.as_bool().ok_or_else(wrong))
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, AdapterError> {
        let wrong = || key(self.path, name, "text");
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
        self.present(name).map(text).transpose()
    }

    fn number<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, AdapterError> {
        let wrong = || key(self.path, name, expected);
        self.map.get(name).map(|value| read(value).ok_or_else(wrong)).transpose()
    }

    /// In the file's order: the first that matches counts.
    fn patterns<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<(Regex, T)>, AdapterError> {
        let Some(value) = self.present(name) else {
            return Ok(Vec::new());
        };
        let wrong = || key(self.path, name, "a mapping of regular expressions to numbers");
        let map = value.as_object().ok_or_else(wrong)?;
        map.iter()
            .map(|(text, value)| {
                let number = read(value).ok_or_else(|| key(self.path, name, expected))?;
                Ok((pattern(text).map_err(|source| self.no_pattern(name, text, source))?, number))
            })
            .collect()
    }

    fn no_pattern(&self, key: &'static str, text: &str, source: regex::Error) -> AdapterError {
        let (path, pattern) = (self.path.to_owned(), text.to_owned());
        AdapterError::Pattern { path, key, pattern, source: Box::new(source) }
    }
}

/// As Python's truth: an empty list is not set.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}
