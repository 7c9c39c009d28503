//! Model folders as transformers writes and reads them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::Device;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::Result;
use crate::llama::Config;
use crate::training::Weights;
use crate::vocabulary::{self, BOS, EOS, PAD};

const MAX_POSITIONS: usize = 128;

pub fn write(dir: &Path, config: &Config, weights: &Weights, tokenizer: &Tokenizer) -> Result<()> {
    fs::create_dir_all(dir)?;
    // transformers refuses a file that does not name its framework.
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let bytes = safetensors::serialize(weights, Some(metadata))?;
    fs::write(dir.join("model.safetensors"), bytes)?;
    crate::write_json(&dir.join("config.json"), &config_json(config))?;
    let generation = json!({"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD});
    crate::write_json(&dir.join("generation_config.json"), &generation)?;
    vocabulary::write(tokenizer, dir)
}

pub fn read_weights(dir: &Path) -> Result<Weights> {
    let tensors = candle_core::safetensors::load(dir.join("model.safetensors"), &Device::Cpu)?;
    Ok(tensors.into_iter().collect())
}

/// The quickstart's configuration, with the vocabulary size that `dir` names.
pub fn read_config(dir: &Path) -> Result<Config> {
    let config: Value = serde_json::from_str(&fs::read_to_string(dir.join("config.json"))?)?;
    let vocab_size = config["vocab_size"].as_u64().ok_or("config.json has no vocab_size")?;
    Ok(Config::quickstart(usize::try_from(vocab_size)?))
}

fn config_json(config: &Config) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_attention_heads,
        "head_dim": config.head_dim(),
        "hidden_act": "silu",
        "max_position_embeddings": MAX_POSITIONS,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "attention_bias": false,
        "attention_dropout": 0.0,
        "mlp_bias": false,
        "tie_word_embeddings": true,
        "initializer_range": 0.02,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
        "use_cache": true,
        "dtype": "float32",
    })
}
