//! How long a text a model can read.

use serde::Deserialize;
use serde_json::Value;

use super::loaded::Loaded;
use crate::rules::{Finding, Verdict};

/// `[models.context]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextRules {
    /// Who says so.
    pub source: String,
    /// Of a prompt and its answer. A model that reads fewer can still be used, with texts cut off.
    pub tokens: u64,
}

/// Keys of a table of positions, one of which a model with such a table has.
const KEYS: [&str; 4] = ["max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"];

/// Distances between tokens in place of positions: no end.
const ENDLESS: [&str; 4] = ["t5", "mt5", "umt5", "bloom"];

pub(super) fn check(model: &Loaded<'_>, rules: &ContextRules) -> Finding {
    let subject = model.subject();
    let Some(config) = &model.facts.config else {
        return unknown(subject, model.why_unknown());
    };
    let kind = config.value.get("model_type").and_then(Value::as_str).unwrap_or_default();
    if ENDLESS.contains(&kind) {
        let evidence = format!("model_type {kind} has no longest text ({})", config.place);
        return Finding::new("context", subject, Verdict::Pass, evidence);
    }
    let length = |key: &'static str| Some((key, config.value.get(key)?.as_u64()?));
    let Some((key, tokens)) = KEYS.into_iter().find_map(length) else {
        return unknown(subject, format!("{} has none of {}", config.place, KEYS.join(", ")));
    };
    let verdict = if tokens >= rules.tokens { Verdict::Pass } else { Verdict::Warn };
    let evidence =
        format!("{key} = {tokens} ({}), texts have up to {}", config.place, rules.tokens);
    Finding::new("context", subject, verdict, evidence)
        .remedy("take a model that reads longer texts: prompts are cut off otherwise")
}

fn unknown(subject: String, why: String) -> Finding {
    Finding::new("context", subject, Verdict::Unknown, why)
        .remedy("give its `config` in a file with --evidence")
}
