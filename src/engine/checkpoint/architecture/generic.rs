//! Patterns for a checkpoint of no known family, inferred from its tensor names.
//!
//! The first number in a name counts layers if anything under the same path looks like attention; what tensors compute
//! is told by words that most models use.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::units::TensorGroup;

use super::family::{Family, Groups, StackPatterns};
use super::output::at;
use super::{ArchitectureError, Stack};

/// What `config.json` calls the number of layers.
const COUNTS: [&str; 8] = [
    "num_hidden_layers",
    "n_layer",
    "num_layers",
    "n_layers",
    "text_config.num_hidden_layers",
    "text_config.n_layer",
    "text_config.num_layers",
    "text_config.n_layers",
];

const ATTENTION: &[&str] = &["attn.", "attention.", "Attention."];
const MLP: &[&str] = &[
    "mlp.",
    "ffn",
    "feed_forward.",
    "fc1.",
    "fc2.",
    "moe.",
    "experts.",
    "intermediate.dense.",
    "DenseReluDense.",
];
const NORM: &[&str] = &["norm", "Norm", "ln_"];
const EMBEDDING: &[&str] = &["embed", "wte.", "wpe.", "shared."];
const HEAD: &[&str] = &["head.", "classifier.", "score.", "pooler.", "logits_bias"];

/// Ends of the names of input embeddings, one row per token.
const TOKENS: [&str; 6] = [
    "embed_tokens.weight",
    "wte.weight",
    "word_embeddings.weight",
    "tok_embeddings.weight",
    "embed_in.weight",
    "shared.weight",
];

/// Ends of the names of output projections, one row per token.
const TOKEN_HEADS: [&str; 3] = ["lm_head.weight", "embed_out.weight", "lm_head.bias"];

/// The layers under one path.
struct List<'a> {
    /// With the dot before the number.
    path: &'a str,
    layers: usize,
    tensors: usize,
    has_attention: bool,
}

pub(super) fn infer(
    config: &Value,
    names: &[&str],
) -> Result<(Family, Vec<Stack>), ArchitectureError> {
    let lists = layer_lists(names);
    let (stacks, patterns): (Vec<_>, Vec<_>) = match lists.as_slice() {
        [] | [_] => vec![only_stack(config, names, lists.first())?],
        lists => several_stacks(config, names, lists),
    }
    .into_iter()
    .unzip();
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let family = Family {
        name: config.get("model_type").and_then(Value::as_str).unwrap_or("unknown").to_owned(),
        computed: strings(&[".inv_freq", ".position_ids", ".masked_bias"]),
        // As in mergekit's inferred architectures: whatever some checkpoint lacks.
        optional: strings(&[""]),
        groups: groups(),
        stacks: patterns,
        vocabulary: vocabulary(names),
        copies: copies(names),
        ..Family::default()
    };
    Ok((family, stacks))
}

fn groups() -> Groups {
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Groups {
        attention: strings(ATTENTION),
        mlp: strings(MLP),
        norm: strings(NORM),
        embedding: strings(EMBEDDING),
        head: strings(HEAD),
    }
}

/// Path and number of the first part of a name that is a number.
fn first_number(name: &str) -> Option<(&str, usize)> {
    let mut start = 0;
    for part in name.split('.') {
        if start > 0 && part.bytes().all(|byte| byte.is_ascii_digit()) {
            return name.get(..start).zip(part.parse().ok());
        }
        start += part.len() + 1;
    }
    None
}

/// The lists that are layers: those with attention, or else the one with most tensors. Encoders first.
fn layer_lists<'a>(names: &[&'a str]) -> Vec<List<'a>> {
    let mut lists: BTreeMap<&str, List> = BTreeMap::new();
    for name in names {
        let Some((path, number)) = first_number(name) else {
            continue;
        };
        let list =
            lists.entry(path).or_insert(List { path, layers: 0, tensors: 0, has_attention: false });
        list.layers = list.layers.max(number.saturating_add(1));
        list.tensors += 1;
        list.has_attention |= ATTENTION.iter().any(|word| name.contains(word));
    }
    let mut lists: Vec<List> = lists.into_values().collect();
    if lists.iter().any(|list| list.has_attention) {
        lists.retain(|list| list.has_attention);
    } else {
        lists.sort_by_key(|list| std::cmp::Reverse(list.tensors));
        lists.truncate(1);
    }
    lists.sort_by_key(|list| !list.path.contains("encoder"));
    lists
}

fn only_stack(
    config: &Value,
    names: &[&str],
    list: Option<&List>,
) -> Result<(Stack, StackPatterns), ArchitectureError> {
    let said = COUNTS.iter().find_map(|key| at(config, key).and_then(Value::as_u64));
    let said = said.and_then(|layers| usize::try_from(layers).ok());
    let missing = || ArchitectureError::Count { key: COUNTS[0].to_owned() };
    let layers = said.or(list.map(|list| list.layers)).ok_or_else(missing)?;
    let patterns = StackPatterns {
        name: "default".to_owned(),
        counts: counts(config, COUNTS.map(str::to_owned).to_vec(), layers),
        layer: list.map(|list| format!("{}{{layer}}.", list.path)),
        before: embeddings(names, ""),
        ..StackPatterns::default()
    };
    Ok((Stack { name: patterns.name.clone(), layers, shared: false }, patterns))
}

/// The stacks, and one without layers for what stands outside of all of them.
fn several_stacks(config: &Value, names: &[&str], lists: &[List]) -> Vec<(Stack, StackPatterns)> {
    let mut stacks = Vec::new();
    for (i, list) in lists.iter().enumerate() {
        let name = stack_name(list.path, lists);
        let mut keys = vec![format!("{name}_layers"), format!("num_{name}_layers")];
        if i == 0 {
            keys.extend(COUNTS.map(str::to_owned));
        }
        let (parent, layers) = (parent(list.path), list.layers);
        let own = if parent.is_empty() { Vec::new() } else { vec![parent.to_owned()] };
        let patterns = StackPatterns {
            name: name.clone(),
            counts: counts(config, keys, layers),
            layer: Some(format!("{}{{layer}}.", list.path)),
            before: own.iter().flat_map(|parent| embeddings(names, parent)).collect(),
            after: own,
            ..StackPatterns::default()
        };
        stacks.push((Stack { name, layers, shared: false }, patterns));
    }
    let name = "default".to_owned();
    let patterns =
        StackPatterns { name: name.clone(), before: embeddings(names, ""), ..Default::default() };
    stacks.push((Stack { name, layers: 0, shared: false }, patterns));
    stacks
}

/// `encoder` or `decoder` where only one path has that word, or else the path.
fn stack_name(path: &str, lists: &[List]) -> String {
    let has = |path: &str, word: &str| path.split('.').any(|part| part == word);
    let names_one = |word: &&str| {
        has(path, word) && lists.iter().filter(|list| has(list.path, word)).count() == 1
    };
    let word = ["encoder", "decoder"].into_iter().find(names_one);
    word.unwrap_or(path.trim_end_matches('.')).to_owned()
}

/// `a.b.layers.` → `a.b.`
fn parent(path: &str) -> &str {
    let list = path.trim_end_matches('.');
    list.rfind('.').and_then(|dot| list.get(..=dot)).unwrap_or_default()
}

/// Those of `keys` that hold the number.
fn counts(config: &Value, mut keys: Vec<String>, layers: usize) -> Vec<String> {
    keys.retain(|key| at(config, key).and_then(Value::as_u64) == Some(layers as u64));
    keys
}

/// Embeddings outside of lists, under a path.
fn embeddings(names: &[&str], path: &str) -> Vec<String> {
    let groups = groups();
    let is_of = |name: &str, group| {
        groups.filters(group).iter().any(|filter| name.contains(filter.as_str()))
    };
    let is_embedding = |name: &&&str| {
        first_number(name).is_none()
            && name.starts_with(path)
            && TensorGroup::NAMED.into_iter().find(|group| is_of(name, *group))
                == Some(TensorGroup::Embedding)
    };
    names.iter().filter(is_embedding).map(|name| (*name).to_owned()).collect()
}

fn ends(name: &str, ends: &[&str]) -> bool {
    ends.iter().any(|end| name.ends_with(end))
}

fn vocabulary(names: &[&str]) -> BTreeMap<String, usize> {
    let axis = |name: &str| match name {
        "final_logits_bias" => Some(1),
        _ => (ends(name, &TOKENS) || ends(name, &TOKEN_HEADS)).then_some(0),
    };
    names.iter().filter_map(|name| Some(((*name).to_owned(), axis(name)?))).collect()
}

/// The head copies the embedding, if there is one of each.
fn copies(names: &[&str]) -> BTreeMap<String, String> {
    let embeddings: Vec<&&str> = names.iter().filter(|name| ends(name, &TOKENS)).collect();
    let [embedding] = embeddings.as_slice() else {
        return BTreeMap::new();
    };
    let heads = names.iter().filter(|name| ends(name, &TOKEN_HEADS[..2]));
    heads.map(|head| ((*head).to_owned(), (**embedding).to_owned())).collect()
}
