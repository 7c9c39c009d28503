//! The patterns of a family, as its file writes them.
//!
//! Patterns are for names without the family's prefix (`model.`, `transformer.`), which the same tensor has in a model
//! with a head and lacks in one without.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;

use crate::units::TensorGroup;

use super::{ArchitectureError, Place, Position};

macro_rules! files {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("families/", $name)))),*]
    };
}

const FILES: [(&str, &str); 14] = files!(
    "albert.toml",
    "bart.toml",
    "bert.toml",
    "bloom.toml",
    "gemma.toml",
    "gemma2.toml",
    "gpt2.toml",
    "llama.toml",
    "mistral.toml",
    "mixtral.toml",
    "phi3.toml",
    "qwen2.toml",
    "qwen3.toml",
    "t5.toml"
);

/// How the tensors of a family are named.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Family {
    pub(super) name: String,
    /// `model_type` in `config.json`.
    pub(super) model_types: Vec<String>,
    /// What the names of its classes (`architectures` in `config.json`) begin with, for files without `model_type`.
    pub(super) class_prefix: String,
    /// What names may begin with, the class with a head wrapping the one without.
    pub(super) prefixes: Vec<String>,
    /// What a missing `tie_word_embeddings` means.
    pub(super) tied_by_default: bool,
    /// Endings of the names of tensors that are computed.
    #[serde(default)]
    pub(super) computed: Vec<String>,
    /// Parts of the names of tensors that may be missing.
    #[serde(default)]
    pub(super) optional: Vec<String>,
    /// Endings that old checkpoints have, and today's.
    #[serde(default)]
    pub(super) renamed: BTreeMap<String, String>,
    /// Parts of the names of the tensors whose products are added to the residual stream as they are; none where a norm
    /// comes in between.
    #[serde(default)]
    pub(super) residual: Vec<String>,
    /// Flags under which a layer's number enters its result.
    #[serde(default)]
    pub(super) by_layer_number: Vec<String>,
    pub(super) groups: Groups,
    pub(super) stacks: Vec<StackPatterns>,
    /// Tensor → axis of token ids.
    pub(super) vocabulary: BTreeMap<String, usize>,
    /// Tensor → the tensor that is read instead in a tied model.
    pub(super) copies: BTreeMap<String, String>,
    /// The same in any model.
    #[serde(default)]
    pub(super) copies_always: BTreeMap<String, String>,
    /// What the entries of `layer_types` are where `config.json` has none.
    pub(super) layer_types: Option<LayerTypes>,
}

/// Parts of names; see [`super::Architecture::filters`].
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Groups {
    pub(super) attention: Vec<String>,
    pub(super) mlp: Vec<String>,
    pub(super) norm: Vec<String>,
    pub(super) embedding: Vec<String>,
    pub(super) head: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StackPatterns {
    pub(super) name: String,
    /// Keys of `config.json` that all hold the number of layers; none of a stack without layers.
    #[serde(default)]
    pub(super) counts: Vec<String>,
    /// The key whose number holds where `counts` are missing.
    pub(super) count_by_default: Option<String>,
    /// What a layer's names begin with, the number being `{layer}`.
    pub(super) layer: Option<String>,
    /// What names of tensors ahead of the layers begin with; comes before `layer`.
    #[serde(default)]
    pub(super) before: Vec<String>,
    /// The same for the tensors behind the layers; comes after `layer`.
    #[serde(default)]
    pub(super) after: Vec<String>,
    #[serde(default)]
    pub(super) shared: bool,
}

/// The kind of attention that each layer has.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum LayerTypes {
    /// These, over and over.
    Cycle(Vec<String>),
    /// Full attention below the number that `key` holds and a sliding window from there on, if the flag `when` is set.
    FullBelow { key: String, when: String },
}

impl Family {
    /// The family that `config.json` names, if it has a file.
    pub(super) fn find(config: &Value) -> Result<Option<Family>, ArchitectureError> {
        for (file, text) in FILES {
            let family: Family = toml::from_str(text).map_err(|source| {
                ArchitectureError::Definition { file, source: Box::new(source) }
            })?;
            if family.is_named_by(config) {
                return Ok(Some(family));
            }
        }
        Ok(None)
    }

    fn is_named_by(&self, config: &Value) -> bool {
        if let Some(model_type) = config.get("model_type").and_then(Value::as_str) {
            return self.model_types.iter().any(|known| known == model_type);
        }
        let class = config.get("architectures").and_then(|classes| classes.get(0));
        let rest = class.and_then(Value::as_str).and_then(|it| it.strip_prefix(&self.class_prefix));
        rest.is_some_and(|rest| ["For", "LMHead", "Model"].iter().any(|end| rest.starts_with(end)))
    }

    pub(super) fn without_prefix<'n>(&self, tensor: &'n str) -> &'n str {
        let mut stripped = self.prefixes.iter().filter_map(|prefix| tensor.strip_prefix(prefix));
        stripped.next().unwrap_or(tensor)
    }

    pub(super) fn place(&self, tensor: &str) -> Place {
        let name = self.without_prefix(tensor);
        let starts = |patterns: &[String]| patterns.iter().any(|it| name.starts_with(it.as_str()));
        let stack_where = |is: &dyn Fn(&StackPatterns) -> bool| self.stacks.iter().position(is);
        if let Some(stack) = stack_where(&|stack| starts(&stack.before)) {
            return Place { stack, position: Position::Before };
        }
        if let Some((place, _)) = self.layer_number(tensor) {
            return place;
        }
        let last = self.stacks.len().saturating_sub(1);
        let stack = stack_where(&|stack| starts(&stack.after)).unwrap_or(last);
        Place { stack, position: Position::After }
    }

    /// The place of a tensor in a layer, and where in its name the layer's number stands.
    pub(super) fn layer_number(&self, tensor: &str) -> Option<(Place, Range<usize>)> {
        let name = self.without_prefix(tensor);
        let before =
            |stack: &StackPatterns| stack.before.iter().any(|it| name.starts_with(it.as_str()));
        if self.stacks.iter().any(before) {
            return None;
        }
        let skipped = tensor.len() - name.len();
        self.stacks.iter().enumerate().find_map(|(stack, patterns)| {
            let (layer, digits) = number(patterns.layer.as_deref()?, name)?;
            let place = Place { stack, position: Position::Layer(layer) };
            Some((place, digits.start + skipped..digits.end + skipped))
        })
    }

    /// What the model reads instead of `name`; both without prefix.
    pub(super) fn copy_of(&self, name: &str, tied: bool) -> Option<&str> {
        let if_tied = self.copies.get(name).filter(|_| tied);
        if_tied.or_else(|| self.copies_always.get(name)).map(String::as_str)
    }

    /// Of `names`, those that others are copies of, without and with prefix.
    pub(super) fn originals(&self, names: &[&str]) -> Vec<(String, String)> {
        let is_original = |name: &str| {
            self.copies.values().chain(self.copies_always.values()).any(|it| it == name)
        };
        names
            .iter()
            .map(|tensor| (self.without_prefix(tensor).to_owned(), (*tensor).to_owned()))
            .filter(|(name, _)| is_original(name))
            .collect()
    }
}

/// The number at `{layer}` of a pattern, and where it stands in `name`.
fn number(pattern: &str, name: &str) -> Option<(usize, Range<usize>)> {
    let (head, tail) = pattern.split_once("{layer}")?;
    let rest = name.strip_prefix(head)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (text, end) = rest.split_at_checked(digits)?;
    // A number is written in one way only, so that putting it back gives the same name.
    let is_plain = text == "0" || !text.starts_with('0');
    let layer = text.parse().ok().filter(|_| is_plain && end.starts_with(tail))?;
    Some((layer, head.len()..head.len() + digits))
}

impl Groups {
    pub(super) fn filters(&self, group: TensorGroup) -> &[String] {
        match group {
            TensorGroup::Attention => &self.attention,
            TensorGroup::Mlp => &self.mlp,
            TensorGroup::Norm => &self.norm,
            TensorGroup::Embedding => &self.embedding,
            TensorGroup::Head => &self.head,
            TensorGroup::Other => &[],
        }
    }
}
