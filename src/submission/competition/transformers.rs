//! Networks that the kit's transformers 4.39.3 does not have.

use serde_json::Value;

/// What a class needs of transformers, where the kit's version will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerTransformers {
    /// The first version that does.
    pub version: &'static str,
    /// What the older ones do not have.
    pub what: String,
}

/// Families that came after 4.39, and with which version (release notes of transformers).
const LATER: [(&str, &str); 3] = [("phi3", "4.41"), ("gemma2", "4.42"), ("qwen3", "4.51")];

/// `None` where the kit's version builds the network as its `config.json` says. Rotary positions: 4.39 knows `rope_scaling` with
/// a `type` of `linear` or `dynamic`, 4.43 reads `rope_type` and knows more of them, 5.0 reads `rope_parameters`.
pub fn newer_transformers(config: &Value) -> Option<NewerTransformers> {
    let family = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let later = LATER.into_iter().find(|(name, _)| *name == family);
    let later = later.map(|(name, version)| newer(version, format!("the family {name}")));
    // A file with both means the first.
    let scaling = settings(config, "rope_scaling").and_then(scaling);
    let rotation = scaling.or_else(|| settings(config, "rope_parameters").and_then(parameters));
    match (later, rotation) {
        (Some(later), Some(rotation)) if rotation.version == "5.0" => {
            let what = format!("{} and {}", later.what, rotation.what);
            Some(NewerTransformers { what, ..rotation })
        }
        (later, rotation) => later.or(rotation),
    }
}

fn newer(version: &'static str, what: String) -> NewerTransformers {
    NewerTransformers { version, what }
}

/// An object that is not empty.
fn settings<'c>(config: &'c Value, key: &str) -> Option<&'c Value> {
    config.get(key).filter(|value| value.as_object().is_some_and(|entries| !entries.is_empty()))
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn scaling(value: &Value) -> Option<NewerTransformers> {
    let (old, new) = (text(value, "type"), text(value, "rope_type"));
    let kind = new.or(old).unwrap_or("default");
    match old {
        Some("linear" | "dynamic") => None,
        _ => Some(newer("4.43", format!("`rope_scaling` of type {kind}"))),
    }
}

fn parameters(value: &Value) -> Option<NewerTransformers> {
    match text(value, "rope_type").or(text(value, "type")).unwrap_or("default") {
        "default" => None,
        kind => Some(newer("5.0", format!("`rope_parameters` of type {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_came_after_the_kits_version_is_named() {
        let needed = |config: Value| newer_transformers(&config).map(|newer| newer.version);
        assert_eq!(needed(json!({"model_type": "llama", "rope_theta": 5e5})), None);
        assert_eq!(needed(json!({"model_type": "llama", "rope_scaling": null})), None);
        let linear = json!({"type": "linear", "factor": 2.0});
        assert_eq!(needed(json!({"model_type": "llama", "rope_scaling": linear})), None);
        let llama3 = json!({"rope_type": "llama3", "factor": 8.0});
        assert_eq!(needed(json!({"model_type": "llama", "rope_scaling": llama3})), Some("4.43"));
        let default = json!({"rope_type": "default", "rope_theta": 1e6});
        assert_eq!(needed(json!({"model_type": "qwen2", "rope_parameters": default})), None);
        assert_eq!(
            needed(json!({"model_type": "qwen3", "rope_parameters": default})),
            Some("4.51")
        );
        assert_eq!(needed(json!({"model_type": "qwen3", "rope_parameters": llama3})), Some("5.0"));
        assert_eq!(needed(json!({"model_type": "gemma2"})), Some("4.42"));
    }
}
