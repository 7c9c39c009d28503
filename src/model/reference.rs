//! candle-transformers' own Llama, as a second opinion on a written checkpoint.
//!
//! Shares nothing with [`super::Llama`] but the config reader: its own loading, attention, rotation and norm.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, IndexOp, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama::{Cache, Config, Llama};

use super::{ConfigError, LlamaConfig};

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
    Config(#[from] ConfigError),
    /// candle-transformers derives the width of a head and cannot be told another.
    #[error(
        "head_dim {head_dim} is not hidden_size / num_attention_heads = {derived}, which the reference implementation assumes"
    )]
    HeadDim {
        /// Of the config.
        head_dim: usize,
        /// What the reference would use.
        derived: usize,
    },
    /// A tensor is missing, of another shape, or could not be computed with.
    #[error("running the reference implementation")]
    Candle(#[from] candle_core::Error),
}

/// Logits `[vocab_size]` for what follows `tokens`, computed in f32 on the CPU from the checkpoint in `folder`.
pub fn last_logits(folder: &Path, tokens: &[u32]) -> Result<Vec<f32>, ReferenceError> {
    let config = read_config(folder)?;
    let weights = read_weights(folder)?;
    let model = Llama::load(
        VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu),
        &config,
    )?;
    let mut cache = Cache::new(false, DType::F32, &config, &Device::Cpu)?;
    let logits = model.forward(
        &Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?,
        0,
        &mut cache,
    )?;
    Ok(logits.i(0)?.to_vec1()?)
}

fn read_config(folder: &Path) -> Result<Config, ReferenceError> {
    let path = folder.join("config.json");
    let text = fs::read(&path).map_err(|source| ReferenceError::Read {
        path: path.clone(),
        source,
    })?;
    let json =
        serde_json::from_slice(&text).map_err(|source| ReferenceError::Json { path, source })?;
    let config = LlamaConfig::from_json(&json)?;
    let derived = config.hidden_size / config.num_attention_heads;
    if config.head_dim != derived {
        return Err(ReferenceError::HeadDim {
            head_dim: config.head_dim,
            derived,
        });
    }
    Ok(Config {
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        vocab_size: config.vocab_size,
        num_hidden_layers: config.num_hidden_layers,
        num_attention_heads: config.num_attention_heads,
        num_key_value_heads: config.num_key_value_heads,
        use_flash_attn: false,
        rms_norm_eps: config.rms_norm_eps,
        rope_theta: config.rope_theta as f32,
        bos_token_id: config.bos_token_id,
        eos_token_id: None,
        rope_scaling: None,
        max_position_embeddings: config.max_position_embeddings,
        tie_word_embeddings: config.tie_word_embeddings,
    })
}

fn read_weights(folder: &Path) -> Result<HashMap<String, Tensor>, ReferenceError> {
    let unreadable = |source| ReferenceError::Read {
        path: folder.into(),
        source,
    };
    let mut weights = HashMap::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "safetensors")
        {
            weights.extend(candle_core::safetensors::load(&path, &Device::Cpu)?);
        }
    }
    Ok(weights)
}
