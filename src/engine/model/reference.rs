//! candle-transformers' own Llama, as a second opinion on a written checkpoint.
//!
//! Shares nothing with [`super::Network`] but the config reader: its own loading, attention, rotation and norm.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, IndexOp, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama::{Cache, Config, Llama};
use serde_json::Value;

use super::ConfigError;
use super::spec::{MlpSpec, NetworkSpec, SublayerNorm};

/// Why a folder could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// `config.json` is no JSON.
    #[error("{path} is not valid JSON")]
    Json {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// `config.json` describes another architecture.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// candle-transformers' Llama does not compute this network.
    #[error("the reference implementation does not run it: `{family}` {reason}")]
    Family {
        /// `model_type` of the config.
        family: String,
        /// What it would need.
        reason: &'static str,
    },
    /// A tensor is missing, of another shape, or could not be computed with.
    #[error("running the reference implementation")]
    Candle(#[from] candle_core::Error),
}

/// Logits `[vocab_size]` for what follows `tokens`, computed in f32 on the CPU from the checkpoint in `folder`.
pub fn last_logits(folder: &Path, tokens: &[u32]) -> Result<Vec<f32>, ReferenceError> {
    let json = read_json(folder)?;
    let family = json.get("model_type").and_then(Value::as_str).unwrap_or_default();
    if family != "llama" {
        let family = family.to_owned();
        return Err(ReferenceError::Family { family, reason: "is not a plain Llama" });
    }
    let weights = read_weights(folder)?;
    let config = read_config(&json, &|name| weights.contains_key(name))?;
    let model = Llama::load(VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu), &config)?;
    let mut cache = Cache::new(false, DType::F32, &config, &Device::Cpu)?;
    let logits = model.forward(&Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?, 0, &mut cache)?;
    Ok(logits.i(0)?.to_vec1()?)
}

fn read_json(folder: &Path) -> Result<Value, ReferenceError> {
    let path = folder.join("config.json");
    let text =
        fs::read(&path).map_err(|source| ReferenceError::Read { path: path.clone(), source })?;
    serde_json::from_slice(&text).map_err(|source| ReferenceError::Json { path, source })
}

fn read_config(json: &Value, has: &dyn Fn(&str) -> bool) -> Result<Config, ReferenceError> {
    let spec = NetworkSpec::from_json(json, has)
        .map_err(|error| ReferenceError::Config(Box::new(error)))?;
    let tied = json.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false);
    let refused = |reason| Err(ReferenceError::Family { family: spec.family.clone(), reason });
    let Some(layer) = spec.decoder.as_ref().and_then(|decoder| decoder.layers.first()) else {
        return refused("has no decoder");
    };
    let attention = &layer.attention;
    if attention.query.bias.is_some() {
        return refused("has biases");
    }
    if tied && has("lm_head.weight") {
        return refused("has a head of its own in spite of tie_word_embeddings");
    }
    if attention.heads * attention.head_dim != spec.hidden_size {
        return refused("has another head_dim than hidden_size / num_attention_heads");
    }
    let scaling = json.get("rope_scaling").or(json.get("rope_parameters"));
    let kind = scaling.and_then(|rope| rope.get("rope_type").or(rope.get("type")));
    if kind.is_some_and(|kind| kind != "default") {
        return refused("has scaled rotary positions");
    }
    let nested = scaling.and_then(|rope| rope.get("rope_theta"));
    let theta = nested.or(json.get("rope_theta")).and_then(Value::as_f64).unwrap_or(10_000.0);
    let MlpSpec::Gated(mlp) = &layer.mlp else {
        return refused("has no gated MLP");
    };
    let SublayerNorm::Before(norm) = &layer.mlp_norm else {
        return refused("has other norms");
    };
    Ok(Config {
        hidden_size: spec.hidden_size,
        intermediate_size: mlp.gate.weight.outputs,
        vocab_size: spec.vocab_size,
        num_hidden_layers: spec.decoder.as_ref().map_or(0, |decoder| decoder.layers.len()),
        num_attention_heads: attention.heads,
        num_key_value_heads: attention.kv_heads,
        use_flash_attn: false,
        rms_norm_eps: f64::from(norm.epsilon),
        rope_theta: theta as f32,
        bos_token_id: spec.tokens.bos,
        eos_token_id: None,
        rope_scaling: None,
        max_position_embeddings: spec.longest.unwrap_or(usize::MAX),
        tie_word_embeddings: tied,
    })
}

fn read_weights(folder: &Path) -> Result<HashMap<String, Tensor>, ReferenceError> {
    let unreadable = |source| ReferenceError::Read { path: folder.into(), source };
    let mut weights = HashMap::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            weights.extend(candle_core::safetensors::load(&path, &Device::Cpu)?);
        }
    }
    Ok(weights)
}
