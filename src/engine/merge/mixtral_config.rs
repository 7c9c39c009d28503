//! `config.json` of a merge with routed layers.

use serde_json::{Map, Value, json};

use super::mixture::Routed;

/// What a config class takes for granted where a file is silent and `MixtralConfig` takes something else.
const LLAMA_THETA: f64 = 10_000.0;
const LLAMA_EPSILON: f64 = 1e-6;
const MISTRAL_KV_HEADS: u64 = 8;
const MISTRAL_WINDOW: u64 = 4096;

/// What makes the config of a Llama or Mistral that of a Mixtral with the same attention.
///
/// `model_type: mixtral` where all of `layers` layers are routed; both spellings of the rotary base, transformers 4's
/// `rope_theta` and 5's `rope_parameters`. Where only some are, `merge_search_mixtral`, which transformers refuses instead of
/// filling the rest with random numbers: `merge_search_dense_layers` lists the layers that have the dense block
/// (`mlp.gate_proj`, …), the others have a Mixtral's.
pub(super) fn settings(config: &Value, layers: usize, routed: &Routed) -> Map<String, Value> {
    let dense: Vec<usize> = (0..layers).filter(|layer| !routed.layers.contains(layer)).collect();
    let (family, class) = match dense.is_empty() {
        true => ("mixtral", "MixtralForCausalLM"),
        false => ("merge_search_mixtral", "MergeSearchMixtralForCausalLM"),
    };
    let mut settings = Map::new();
    let mut set = |key: &str, value: Value| settings.insert(key.to_owned(), value);
    set("model_type", json!(family));
    set("architectures", json!([class]));
    if !dense.is_empty() {
        set("merge_search_dense_layers", json!(dense));
    }
    set("num_local_experts", json!(routed.experts));
    set("num_experts_per_tok", json!(routed.experts_per_token));
    set("output_router_logits", json!(false));
    set("router_jitter_noise", json!(0.0));
    let own = |key: &str| config.get(key).filter(|value| !value.is_null());
    let is_mistral = own("model_type").is_some_and(|family| family == "mistral");
    set("rms_norm_eps", own("rms_norm_eps").cloned().unwrap_or(json!(LLAMA_EPSILON)));
    set("hidden_act", own("hidden_act").cloned().unwrap_or(json!("silu")));
    set("tie_word_embeddings", own("tie_word_embeddings").cloned().unwrap_or(json!(false)));
    let one_each = own("num_attention_heads").cloned().unwrap_or(Value::Null);
    let is_silent = config.get("num_key_value_heads").is_none();
    let default = if is_mistral && is_silent { json!(MISTRAL_KV_HEADS) } else { one_each };
    set("num_key_value_heads", own("num_key_value_heads").cloned().unwrap_or(default));
    let window = match (is_mistral, config.get("sliding_window")) {
        // Llama's class has no window, whatever its config carries.
        (false, _) => Value::Null,
        (true, window) => window.cloned().unwrap_or(json!(MISTRAL_WINDOW)),
    };
    set("sliding_window", window);
    settings.extend(rotary(config));
    settings
}

/// The base of the rotary embedding in both spellings, and scaling as it is.
fn rotary(config: &Value) -> Map<String, Value> {
    let own = |key: &str| config.get(key).filter(|value| !value.is_null());
    let nested = |key: &str| own(key).and_then(|parameters| parameters.get("rope_theta"));
    let theta = nested("rope_scaling").or(nested("rope_parameters")).or(own("rope_theta"));
    let theta = theta.cloned().unwrap_or(json!(LLAMA_THETA));
    let mut settings = Map::from_iter([("rope_theta".to_owned(), theta.clone())]);
    if own("rope_scaling").is_none() {
        let mut parameters = own("rope_parameters").and_then(Value::as_object).cloned();
        let parameters = parameters.get_or_insert_default();
        if !parameters.contains_key("type") {
            parameters.entry("rope_type").or_insert(json!("default"));
        }
        parameters.insert("rope_theta".to_owned(), theta);
        settings.insert("rope_parameters".to_owned(), json!(parameters));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(layers: &[usize]) -> Routed {
        Routed { layers: layers.to_vec(), experts: 4, experts_per_token: 2 }
    }

    /// The defaults of `LlamaConfig` and `MistralConfig` that differ from `MixtralConfig`'s (transformers 4.39 and 5.23).
    #[test]
    fn what_a_file_does_not_say_is_said_where_mixtral_has_another_default() {
        let llama = json!({"model_type": "llama", "num_attention_heads": 32, "sliding_window": 7});
        let all = settings(&llama, 2, &routed(&[0, 1]));
        let expected = json!({
            "model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "num_local_experts": 4,
            "num_experts_per_tok": 2, "output_router_logits": false, "router_jitter_noise": 0.0,
            "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": false,
            "num_key_value_heads": 32, "sliding_window": null, "rope_theta": 10000.0,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}
        });
        assert_eq!(Value::Object(all), expected);
        let mistral = json!({"model_type": "mistral", "num_attention_heads": 32});
        let all = settings(&mistral, 1, &routed(&[0]));
        assert_eq!(
            (&all["num_key_value_heads"], &all["sliding_window"]),
            (&json!(8), &json!(4096))
        );
    }

    #[test]
    fn rotary_settings_are_kept() {
        let four =
            json!({"rope_theta": 5e5, "rope_scaling": {"rope_type": "linear", "factor": 2.0}});
        assert_eq!(Value::Object(rotary(&four)), json!({"rope_theta": 5e5}));
        let five =
            json!({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}});
        let expected = json!({"rope_theta": 5e5, "rope_parameters": five["rope_parameters"]});
        assert_eq!(Value::Object(rotary(&five)), expected);
    }

    #[test]
    fn a_model_with_some_routed_layers_is_none_that_transformers_takes_for_a_mixtral() {
        let all = settings(&json!({"num_attention_heads": 4}), 3, &routed(&[1]));
        assert_eq!(all["model_type"], json!("merge_search_mixtral"));
        assert_eq!(all["merge_search_dense_layers"], json!([0, 2]));
    }
}
