//! Numbers of layers out of `config.json`, and a `config.json` for other layers.

use serde_json::{Map, Value, json};

use super::family::{Family, LayerTypes, StackPatterns};
use super::{Architecture, ArchitectureError, Stack};

const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";

/// The stacks of a known family.
pub(super) fn stacks(family: &Family, config: &Value) -> Result<Vec<Stack>, ArchitectureError> {
    let stack = |patterns: &StackPatterns| {
        let (name, shared) = (patterns.name.clone(), patterns.shared);
        Ok(Stack { name, layers: layers(patterns, config)?, shared })
    };
    family.stacks.iter().map(stack).collect()
}

fn layers(patterns: &StackPatterns, config: &Value) -> Result<usize, ArchitectureError> {
    let Some(first) = patterns.counts.first() else {
        return Ok(0);
    };
    let mut keys = patterns.counts.iter().chain(&patterns.count_by_default);
    let found = keys.find_map(|key| at(config, key).filter(|value| !value.is_null()));
    let layers = found.and_then(Value::as_u64).and_then(|layers| usize::try_from(layers).ok());
    layers.ok_or_else(|| ArchitectureError::Count { key: first.clone() })
}

/// The value of a key; `a.b` is `b` in the object `a`.
pub(super) fn at<'v>(config: &'v Value, key: &str) -> Option<&'v Value> {
    key.split('.').try_fold(config, |value, key| value.get(key))
}

/// See [`Architecture::output_config`].
pub(super) fn config(
    architecture: &Architecture,
    config: &Value,
    source_layers: &[Vec<usize>],
) -> Result<Value, ArchitectureError> {
    let stacks = || architecture.stacks.iter().zip(source_layers);
    let is_whole = |stack: &Stack, layers: &[usize]| layers.iter().copied().eq(0..stack.layers);
    if stacks().all(|(stack, layers)| is_whole(stack, layers)) {
        return Ok(config.clone());
    }
    let mut output = config.clone();
    for ((stack, layers), patterns) in stacks().zip(&architecture.family.stacks) {
        if !is_whole(stack, layers) {
            require_movable(architecture, stack, layers, config)?;
        }
        // A number that another stack's key stood for is spelt out, as that key may have changed.
        if !is_whole(stack, layers) || patterns.count_by_default.is_some() {
            set_count(&mut output, stack, patterns, layers.len())?;
        }
    }
    let mut layered = stacks().filter(|(stack, _)| stack.layers > 0);
    // Lists per layer are of models with one stack: which of two stacks a list is about, nothing says.
    if let (Some((stack, layers)), None) = (layered.next(), layered.next())
        && let Some(entries) = output.as_object_mut()
    {
        let patterns = architecture.family.layer_types.as_ref();
        pick_lists(entries, stack.layers, layers);
        if let Some(patterns) = patterns {
            patterns.keep(config, entries, layers);
        }
    }
    Ok(output)
}

fn require_movable(
    architecture: &Architecture,
    stack: &Stack,
    layers: &[usize],
    config: &Value,
) -> Result<(), ArchitectureError> {
    if stack.shared {
        let (family, found) = (architecture.family().to_owned(), layers.to_vec());
        return Err(ArchitectureError::SharedLayers { family, layers: stack.layers, found });
    }
    let keeps_numbers = layers.iter().enumerate().all(|(number, layer)| number == *layer);
    let is_set = |key: &&String| config.get(key.as_str()).and_then(Value::as_bool) == Some(true);
    match architecture.family.by_layer_number.iter().find(is_set) {
        Some(key) if !keeps_numbers => Err(ArchitectureError::LayerNumber { key: key.clone() }),
        _ => Ok(()),
    }
}

fn set_count(
    config: &mut Value,
    stack: &Stack,
    patterns: &StackPatterns,
    layers: usize,
) -> Result<(), ArchitectureError> {
    let mut is_set = false;
    for key in &patterns.counts {
        if let Some(count) = config.pointer_mut(&format!("/{}", key.replace('.', "/"))) {
            *count = json!(layers);
            is_set = true;
        }
    }
    if is_set {
        return Ok(());
    }
    match (patterns.counts.first(), config.as_object_mut()) {
        (Some(key), Some(entries)) => {
            entries.insert(key.clone(), json!(layers));
            Ok(())
        }
        _ => Err(ArchitectureError::NoCount { stack: stack.name.clone(), layers: stack.layers }),
    }
}

/// Settings with one entry per layer follow their layers.
fn pick_lists(entries: &mut Map<String, Value>, layers: usize, source_layers: &[usize]) {
    for (_, value) in entries.iter_mut().filter(|(key, _)| key.contains("layer")) {
        if let Some(list) = value.as_array_mut().filter(|list| list.len() == layers) {
            *list = source_layers.iter().filter_map(|layer| list.get(*layer).cloned()).collect();
        }
    }
}

impl LayerTypes {
    /// Makes `output` say what kind of attention each layer had in `source`, where its new number says another.
    fn keep(&self, source: &Value, output: &mut Map<String, Value>, source_layers: &[usize]) {
        let types: Vec<&str> =
            source_layers.iter().filter_map(|layer| self.of_layer(source, *layer)).collect();
        if let (LayerTypes::FullBelow { key, .. }, false) = (self, types.is_empty()) {
            let full = types.iter().position(|it| *it == SLIDING).unwrap_or(types.len());
            output.insert(key.clone(), json!(full));
        }
        let said = Value::Object(output.clone());
        let numbers = 0..types.len();
        if !numbers.filter_map(|number| self.of_layer(&said, number)).eq(types.iter().copied()) {
            output.insert("layer_types".to_owned(), json!(types));
        }
    }

    /// `None` where all layers are of one kind.
    fn of_layer<'v>(&'v self, config: &'v Value, layer: usize) -> Option<&'v str> {
        let listed = config.get("layer_types").and_then(Value::as_array);
        let listed = listed.map(|types| types.get(layer).and_then(Value::as_str));
        match self {
            LayerTypes::Cycle(cycle) => {
                listed.unwrap_or_else(|| cycle.get(layer % cycle.len().max(1)).map(String::as_str))
            }
            LayerTypes::FullBelow { key, when } => {
                config.get(when).filter(|flag| **flag == json!(true))?;
                let full = config.get(key).and_then(Value::as_u64)?;
                let by_number = if (layer as u64) < full { FULL } else { SLIDING };
                listed.unwrap_or(Some(by_number))
            }
        }
    }
}
