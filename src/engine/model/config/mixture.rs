//! What a Mixtral has in place of a Llama's feed-forward network.

use serde_json::{Value, json};

use super::ConfigError;
use super::fields::{Fields, invalid};
use super::tensors::linear;
use crate::model::spec::{Activation, GatedSpec, MlpSpec};

/// Layers that have one feed-forward network, as a Llama's: of a merge in which some layers are routed, as this program
/// writes it.
pub(super) fn dense_layers(fields: &Fields, layers: usize) -> Result<Vec<usize>, ConfigError> {
    const FIELD: &str = "merge_search_dense_layers";
    let listed = fields.list(FIELD)?.map_or(&[][..], Vec::as_slice);
    let number = |value: &Value| value.as_u64().and_then(|it| usize::try_from(it).ok());
    let known = |value: &Value| number(value).filter(|layer| *layer < layers);
    let expected = format!("numbers of layers below num_hidden_layers = {layers}");
    let wrong = || invalid(FIELD, &Value::from(listed.to_vec()), &expected);
    listed.iter().map(known).collect::<Option<_>>().ok_or_else(wrong)
}

/// A Mixtral's block. `sizes`: of a feed-forward network's inner layer and of what it reads.
pub(super) fn experts(
    fields: &Fields,
    at: &impl Fn(&str) -> String,
    [inner, hidden]: [usize; 2],
    activation: Activation,
) -> Result<MlpSpec, ConfigError> {
    fields.only("router_jitter_noise", &[json!(0.0)])?;
    let count = fields.part_count_of(&["num_local_experts", "num_experts"], 8)?;
    let top = fields.count_or("num_experts_per_tok", 2)?;
    if top > count {
        let expected = format!("at most num_local_experts = {count}");
        return Err(invalid("num_experts_per_tok", &top.into(), &expected));
    }
    let expert = |expert: usize| {
        let part = |part: &str| at(&format!("block_sparse_moe.experts.{expert}.{part}"));
        GatedSpec {
            gate: linear(&part("w1"), inner, hidden, false),
            up: linear(&part("w3"), inner, hidden, false),
            down: linear(&part("w2"), hidden, inner, false),
            activation,
        }
    };
    Ok(MlpSpec::Experts {
        router: linear(&at("block_sparse_moe.gate"), count, hidden, false),
        experts: (0..count).map(expert).collect(),
        top,
    })
}
