//! Networks that the kit's transformers 4.39.3 does not have, or calculates otherwise than their `config.json` says.

use serde_json::Value;

/// What a class needs of transformers, where the kit's version will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerTransformers {
    /// A version that does: major, minor.
    pub version: (u32, u32),
    /// What older ones do not have.
    pub what: String,
}

impl NewerTransformers {
    /// `major.minor`.
    pub fn version(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }
}

/// Families that came after 4.39, and with which version. Gemma 2 came with 4.42, whose cache a class cannot repeat.
const LATER: [(&str, (u32, u32)); 2] = [("gemma2", (4, 53)), ("qwen3", (4, 51))];

/// A version that calculates the network as its `config.json` says, by the release notes and sources of transformers; `None`
/// where the kit's does. Of `rope_scaling`, 4.39 reads only a Llama's, and only with two keys, `type` (`linear` or `dynamic`)
/// and a `factor` that is written with a point; 4.43 reads all of a Llama's, 4.51 every family's; 5.0 reads `rope_parameters`, and
/// a base inside of `rope_scaling`. Windows of some layers of a Qwen are right from 4.53 on; biases of a Llama's blocks came with
/// 4.41, heads of another width than its hidden size gives with 4.48 at the latest.
pub fn newer_transformers(config: &Value) -> Option<NewerTransformers> {
    let family = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let later = LATER.into_iter().find(|(name, _)| *name == family);
    let all = [
        later.map(|(name, version)| newer(version, format!("the family {name}"))),
        rotation(config, family),
        windows(config, family),
        blocks(config, family),
        heads(config, family),
    ];
    all.into_iter().flatten().max_by_key(|newer| newer.version)
}

fn newer(version: (u32, u32), what: String) -> NewerTransformers {
    NewerTransformers { version, what }
}

fn rotation(config: &Value, family: &str) -> Option<NewerTransformers> {
    // A file with both means the first.
    if let Some(scaling) = settings(config, "rope_scaling") {
        let version = if family == "llama" { (4, 43) } else { (4, 51) };
        return match kind(scaling) {
            _ if scaling.get("rope_theta").is_some() => {
                Some(newer((5, 0), "`rope_theta` inside of `rope_scaling`".to_owned()))
            }
            "default" if family != "llama" => None,
            _ if family == "llama" && is_old_form(scaling) => None,
            kind => Some(newer(version, format!("`rope_scaling` of type {kind}"))),
        };
    }
    match kind(settings(config, "rope_parameters")?) {
        "default" => None,
        kind => Some(newer((5, 0), format!("`rope_parameters` of type {kind}"))),
    }
}

/// An object that is not empty.
fn settings<'c>(config: &'c Value, key: &str) -> Option<&'c Value> {
    config.get(key).filter(|value| value.as_object().is_some_and(|entries| !entries.is_empty()))
}

fn kind(settings: &Value) -> &str {
    let text = |key: &str| settings.get(key).and_then(Value::as_str);
    text("rope_type").or_else(|| text("type")).unwrap_or("default")
}

fn is_old_form(scaling: &Value) -> bool {
    let known = scaling.get("type").is_some_and(|kind| kind == "linear" || kind == "dynamic");
    let factor = scaling.get("factor").filter(|factor| factor.is_f64());
    let entries = scaling.as_object().map_or(0, |entries| entries.len());
    known && entries == 2 && factor.and_then(Value::as_f64).is_some_and(|factor| factor > 1.0)
}

fn number(config: &Value, key: &str) -> Option<u64> {
    config.get(key).and_then(Value::as_u64)
}

/// By default in configs of Mistral and Qwen.
const WINDOW: u64 = 4096;

/// Tokens that a layer with a window sees, if it is fewer than the model reads.
fn window(config: &Value) -> Option<u64> {
    let window = match config.get("sliding_window") {
        None => WINDOW,
        Some(own) => own.as_u64()?,
    };
    let longest = number(config, "max_position_embeddings");
    longest.is_none_or(|longest| window < longest).then_some(window)
}

fn windows(config: &Value, family: &str) -> Option<NewerTransformers> {
    let is_used = config.get("use_sliding_window").and_then(Value::as_bool) == Some(true);
    let has_own = family.starts_with("qwen") && is_used && window(config).is_some();
    has_own.then(|| newer((4, 53), "windows of some layers".to_owned()))
}

fn blocks(config: &Value, family: &str) -> Option<NewerTransformers> {
    let has_bias = config.get("mlp_bias").and_then(Value::as_bool) == Some(true);
    (family == "llama" && has_bias).then(|| newer((4, 41), "`mlp_bias`".to_owned()))
}

fn heads(config: &Value, family: &str) -> Option<NewerTransformers> {
    let own = number(config, "head_dim")?;
    let heads = number(config, "num_attention_heads")?;
    let is_plain = number(config, "hidden_size")? == own * heads;
    let is_fixed = ["llama", "mistral"].contains(&family);
    (is_fixed && !is_plain).then(|| newer((4, 48), "`head_dim`".to_owned()))
}

/// The window of a Mistral: of longer prompts, versions before 4.53 read more than that.
pub fn window_of_newer(config: &Value) -> Option<u64> {
    let family = config.get("model_type").and_then(Value::as_str);
    (family == Some("mistral")).then(|| window(config)).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn needed(family: &str, mut config: Value) -> Option<String> {
        config["model_type"] = family.into();
        newer_transformers(&config).map(|newer| newer.version())
    }

    fn at_least(version: &str) -> Option<String> {
        Some(version.to_owned())
    }

    #[test]
    fn families_that_came_after_the_kits_version_are_named() {
        assert_eq!(needed("llama", json!({"rope_theta": 5e5, "rope_scaling": null})), None);
        assert_eq!(needed("gemma2", json!({})), at_least("4.53"));
        let all = json!({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}});
        assert_eq!(needed("qwen3", all), at_least("4.51"));
        assert_eq!(needed("qwen2", json!({"use_sliding_window": true})), at_least("4.53"));
        assert_eq!(needed("qwen2", json!({"use_sliding_window": false})), None);
        let unreached = json!({"use_sliding_window": true, "max_position_embeddings": 4096});
        assert_eq!(needed("qwen2", unreached), None);
        assert_eq!(needed("llama", json!({"mlp_bias": true})), at_least("4.41"));
        let heads =
            |own: u64| json!({"head_dim": own, "hidden_size": 5120, "num_attention_heads": 32});
        assert_eq!(needed("mistral", heads(128)), at_least("4.48"));
        assert_eq!(needed("mistral", heads(160)), None);
        assert_eq!(needed("gemma", heads(128)), None);
        let window = |config: Value| window_of_newer(&config);
        assert_eq!(window(json!({"model_type": "mistral", "sliding_window": 4096})), Some(4096));
        assert_eq!(window(json!({"model_type": "mistral", "sliding_window": null})), None);
        assert_eq!(window(json!({"model_type": "mistral"})), Some(4096));
        let short = json!({"model_type": "mistral", "max_position_embeddings": 4096});
        assert_eq!(window(short), None);
        assert_eq!(window(json!({"model_type": "qwen2", "sliding_window": 4096})), None);
    }

    /// By `_rope_scaling_validation` of 4.39.3, which of our families Llama alone has.
    #[test]
    fn of_rotary_scalings_the_kits_version_reads_a_llamas_old_form_only() {
        let scaled = |scaling: Value| json!({"rope_scaling": scaling});
        assert_eq!(needed("llama", scaled(json!({"type": "linear", "factor": 2.0}))), None);
        for other in [
            json!({"type": "linear", "factor": 2}),
            json!({"type": "linear", "factor": 1.0}),
            json!({"type": "linear", "rope_type": "linear", "factor": 2.0}),
            json!({"rope_type": "llama3", "factor": 8.0}),
            json!({"type": "yarn", "factor": 4.0}),
        ] {
            assert_eq!(needed("llama", scaled(other.clone())), at_least("4.43"), "{other}");
        }
        let linear = json!({"type": "linear", "factor": 2.0});
        for family in ["mistral", "qwen2", "gemma"] {
            assert_eq!(needed(family, scaled(linear.clone())), at_least("4.51"));
        }
        let inside = json!({"rope_type": "default", "rope_theta": 1e6});
        assert_eq!(needed("qwen2", scaled(inside)), at_least("5.0"));
        let own = json!({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}});
        assert_eq!(needed("llama", own.clone()), at_least("5.0"));
        assert_eq!(needed("qwen3", own), at_least("5.0"));
    }
}
