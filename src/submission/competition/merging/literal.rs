//! The value of `RECIPE`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::merge::{MergePlan, PlannedTensor};

use super::super::depths::deepest_first;
use super::super::{ClassDtype, ClassParts, CompetitionError, Published};
use super::groups::{Shared, groups};

/// Families whose models cannot write a text. (Their old checkpoints also have tensors under other names than today's.)
const ENCODERS: [&str; 2] = ["albert", "bert"];

/// In the files of the first T5s, and in no library's network.
const STRAY: &str = "EncDecAttention.relative_attention_bias.weight";

/// The literal, and the names of the fragments that carry it out.
pub(super) fn recipe(
    parts: &ClassParts,
) -> Result<(Value, BTreeSet<&'static str>), CompetitionError> {
    let order = deepest_first(&parts.merges);
    let plans: Vec<&MergePlan> =
        order.iter().filter_map(|i| parts.merges.get(*i).copied()).collect();
    let (Some(named_first), [deepest, ..]) = (parts.merges.first(), plans.as_slice()) else {
        return Err(unsupported("a submission without a merge"));
    };
    let config = output_config(deepest)?;
    let (mut merges, mut shared) = (Vec::new(), Shared::default());
    for (number, plan) in plans.iter().enumerate() {
        require_supported(parts, plan, &config)?;
        let mut tensors =
            if number == 0 { plan.tensors().iter().collect() } else { changed(deepest, plan) };
        tensors.retain(|tensor: &&PlannedTensor| !tensor.name.ends_with(STRAY));
        merges.push(Value::Array(groups(plan, &tensors, &mut shared)));
    }
    // Tokens are read as by the merge that the recipe names first.
    let of_reference = named_first.reference().config();
    // A place, maybe on the user's machine, says nothing.
    let differs = |(key, value): &(String, Value)| {
        key != "_name_or_path" && of_reference.get(key) != Some(value)
    };
    let recipe = json!({
        "models": models(parts, named_first)?,
        "reference": named_first.reference_index(),
        "config": Value::Object(config.into_iter().filter(differs).collect()),
        "dtype": match parts.dtype {
            ClassDtype::Float32 => "float32",
            ClassDtype::Bfloat16 => "bfloat16",
        },
        "names": shared.names,
        "merges": merges,
    });
    Ok((recipe, shared.fragments))
}

fn unsupported(what: &str) -> CompetitionError {
    CompetitionError::Unsupported { what: what.to_owned() }
}

fn require_supported(
    parts: &ClassParts,
    plan: &MergePlan,
    first_config: &Map<String, Value>,
) -> Result<(), CompetitionError> {
    let (published, planned) = (parts.models.len(), plan.models().len());
    if published != planned {
        return Err(CompetitionError::Models { published, planned });
    }
    if plan.vocabulary().is_some() {
        return Err(unsupported(
            "recipes that choose their tokens (`tokenizer` or `tokenizer_source`): leave that out of the recipe, or publish \
             the merged checkpoint (`export --format checkpoint`) and submit that",
        ));
    }
    if ENCODERS.contains(&plan.architecture().family()) {
        return Err(unsupported(
            "encoders without a decoder, for which the starter kit has no task",
        ));
    }
    if !is_beginning(&output_config(plan)?, first_config) {
        return Err(unsupported("merges of different `config.json` behind one router"));
    }
    Ok(())
}

fn output_config(plan: &MergePlan) -> Result<Map<String, Value>, CompetitionError> {
    let path = plan.reference().dir().join("config.json");
    let output = plan.config().map_err(|source| CheckpointError::Architecture { path, source })?;
    Ok(output.as_object().cloned().unwrap_or_default())
}

/// Of `config.json`, what no network depends on.
const OF_NO_NETWORK: [&str; 6] =
    ["_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache"];

/// Whether a network is another one but for the layers behind its last.
fn is_beginning(config: &Map<String, Value>, deeper: &Map<String, Value>) -> bool {
    let keys = config.keys().chain(deeper.keys());
    let mut keys = keys.filter(|key| !OF_NO_NETWORK.contains(&key.as_str()));
    keys.all(|key| match (config.get(key), deeper.get(key)) {
        _ if key == LAYERS => true,
        (Some(Value::Array(own)), Some(Value::Array(all)))
            if is_of_layers(own, config) && is_of_layers(all, deeper) =>
        {
            all.starts_with(own)
        }
        (own, all) => own == all,
    })
}

/// Where `config.json` has the number of layers.
const LAYERS: &str = "num_hidden_layers";

/// Whether a list says something of each layer.
fn is_of_layers(list: &[Value], config: &Map<String, Value>) -> bool {
    config.get(LAYERS).and_then(Value::as_u64) == Some(list.len() as u64)
}

/// The tensors of a plan that another one has in another form.
fn changed<'p>(first: &MergePlan, plan: &'p MergePlan) -> Vec<&'p PlannedTensor> {
    let known: BTreeMap<&str, &PlannedTensor> =
        first.tensors().iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let differs = |tensor: &&PlannedTensor| known.get(tensor.name.as_str()) != Some(tensor);
    plan.tensors().iter().filter(differs).collect()
}

fn models(parts: &ClassParts, plan: &MergePlan) -> Result<Vec<Value>, CompetitionError> {
    let mut tensors = parts.merges.iter().flat_map(|plan| plan.tensors());
    let draws_masks = tensors.any(|tensor| tensor.operation.draws_masks());
    let model = |(published, (_, checkpoint)): (&Published, &(_, &Checkpoint))| {
        let mut entry = model(published);
        if draws_masks {
            entry.insert("digest".to_owned(), checkpoint.digest()?.into());
        }
        Ok(Value::Object(entry))
    };
    parts.models.iter().zip(plan.models()).map(model).collect()
}

fn model(published: &Published) -> Map<String, Value> {
    let place = |repository: &str, revision: &str| {
        let entries = [("repository", repository), ("revision", revision)];
        entries.map(|(key, value)| (key.to_owned(), Value::from(value)))
    };
    let adapter = published.adapter.as_ref();
    let adapter = adapter.map(|(repository, revision)| Map::from_iter(place(repository, revision)));
    let mut entry = Map::from_iter(place(&published.repository, &published.revision));
    entry.insert("adapter".to_owned(), adapter.map_or(Value::Null, Value::Object));
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_deeper_ones_beginning_if_each_layers_settings_are() {
        let config = |value: Value| value.as_object().cloned().unwrap_or_default();
        let deeper = config(json!({
            "num_hidden_layers": 3, "layer_types": ["a", "b", "b"], "eos_token_id": [1, 2, 3], "use_cache": true
        }));
        let cut = |layers: &[&str], ends: &[u64]| {
            config(json!({
                "num_hidden_layers": layers.len(), "layer_types": layers, "eos_token_id": ends, "use_cache": false
            }))
        };
        assert!(is_beginning(&cut(&["a", "b"], &[1, 2, 3]), &deeper));
        assert!(is_beginning(&deeper, &deeper));
        assert!(!is_beginning(&cut(&["b", "b"], &[1, 2, 3]), &deeper), "other layers");
        assert!(!is_beginning(&cut(&["a"], &[1, 2]), &deeper), "other ends");
        let without = config(json!({"num_hidden_layers": 2, "eos_token_id": [1, 2, 3]}));
        assert!(!is_beginning(&without, &deeper), "nothing said of layers");
    }
}
