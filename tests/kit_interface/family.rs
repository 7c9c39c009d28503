//! Tiny models in a made-up cache of the hub: five kinds of tokenizers and two more of networks, each at two commits
//! of one repository, the second one shaken, adapters of unequal rank, and the quickstart's.

use std::fs;
use std::path::{Path, PathBuf};

use merge_search::hub::Hub;
use merge_search::merge::MergedTensor;
use serde_json::{Value, json};

use crate::tiny;

/// Both are repositories' only commits but for those of [`KINDS`].
pub const FIRST: &str = "1111111111111111111111111111111111111111";
pub const SECOND: &str = "2222222222222222222222222222222222222222";
/// Each with the folder whose files it has.
const KINDS: [(&str, &str); 7] = [
    ("llama", "llama"),
    ("llama3", "llama3"),
    ("llama31", "llama"),
    ("mistral", "llama"),
    ("qwen2", "qwen2"),
    ("t5", "t5"),
    ("bart", "bart"),
];
/// Name, rank, and the weights that the adapter changes.
const ADAPTERS: [(&str, usize, &[&str]); 4] = [
    ("llama-rank-16", 16, &["self_attn.q_proj", "self_attn.v_proj"]),
    ("llama-rank-8", 8, &["self_attn.q_proj", "self_attn.v_proj"]),
    ("llama-rank-4", 4, &["self_attn.q_proj", "self_attn.v_proj"]),
    ("llama-rank-2", 2, &["self_attn.q_proj", "mlp.down_proj"]),
];

/// Of the quickstart.
const QUICKSTART: [&str; 5] = ["base", "arithmetic", "logic", "strings", "agreement"];

/// Puts everything into `home/hub`, as Python's hub client would with `HF_HOME=home`.
pub fn write(home: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (kind, like) in KINDS {
        let from = root.join("tests/reference/lm_eval/docs/models").join(like);
        let folders = [FIRST, SECOND].map(|own| snapshot(home, kind, own));
        folders.iter().for_each(|folder| copy(&from, folder));
        for folder in &folders {
            match kind {
                "llama3" => forget_merges(folder),
                "t5" => add_stray(folder),
                _ => {}
            }
            change_config(folder, &network(kind));
        }
        let weights = snapshot(home, kind, SECOND).join("model.safetensors");
        let shaken: Vec<_> = tiny::stored(&weights).into_iter().map(shaken).collect();
        fs::write(&weights, tiny::singles(&shaken)).unwrap();
    }
    for name in QUICKSTART {
        let from = root.join("search-spaces/quickstart").join(name);
        copy(&from, &snapshot(home, &format!("quick-{name}"), FIRST));
    }
    for (name, rank, targets) in ADAPTERS {
        adapter(&snapshot(home, name, FIRST), rank, targets);
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A tokenizer as Llama 3's, which takes words of the vocabulary whole, here many that no merges lead to.
fn forget_merges(folder: &Path) {
    let file = folder.join("tokenizer.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let merges = json["model"]["merges"].as_array_mut().unwrap();
    merges.truncate(merges.len() / 4);
    json["model"]["ignore_merges"] = true.into();
    fs::write(&file, json.to_string()).unwrap();
}

/// What `config.json` has besides.
fn network(kind: &str) -> Value {
    match kind {
        // As transformers 5 writes it and 4 does not read it.
        "llama3" => json!({"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}),
        "llama31" => json!({"rope_parameters": null, "rope_theta": 100.0, "rope_scaling": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64
        }}),
        // As long as what the model reads: versions before 4.53 read beyond a shorter window.
        "mistral" => {
            json!({"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 256})
        }
        _ => json!({}),
    }
}

/// Sets entries of `config.json`.
pub fn change_config(folder: &Path, entries: &Value) {
    let file = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let entries = entries.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(entries);
    fs::write(&file, config.to_string()).unwrap();
}

/// Biases that the files of the first T5s have and their networks do not.
fn add_stray(folder: &Path) {
    let weights = folder.join("model.safetensors");
    let mut tensors = tiny::stored(&weights);
    let name = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";
    tensors.push(tiny::tensor(name, &[32, 2], vec![0.5; 64]));
    fs::write(&weights, tiny::singles(&tensors)).unwrap();
}

pub fn hub(home: &Path) -> Hub {
    let cache = home.join("hub");
    Hub { cache, endpoint: None, token: None, offline: true, progress: false }
}

pub fn snapshot(home: &Path, name: &str, revision: &str) -> PathBuf {
    let repository = home.join("hub").join(format!("models--tiny--{name}"));
    let folder = repository.join("snapshots").join(revision);
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), FIRST).unwrap();
    folder
}

/// Numbers in [-1, 1) that depend on the name and the place alone.
fn noise(name: &str, count: usize) -> impl Iterator<Item = f32> + use<> {
    let mut state = name.bytes().fold(7u64, |state, byte| state.wrapping_mul(31) ^ u64::from(byte));
    (0..count).map(move |_| {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    })
}

/// Every element by up to half of the tensor's standard deviation.
fn shaken(tensor: MergedTensor) -> MergedTensor {
    let count = tensor.values.len() as f32;
    let mean = tensor.values.iter().sum::<f32>() / count;
    let variance = tensor.values.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / count;
    let scale = 0.5 * variance.sqrt().max(0.05);
    let noise: Vec<f32> = noise(&tensor.name, tensor.values.len()).collect();
    let values = tensor.values.iter().zip(noise).map(|(x, noise)| x + scale * noise).collect();
    MergedTensor { values, ..tensor }
}

/// Of the tiny Llama: hidden size 32, key and value heads of 16 together, 48 wide in between.
fn adapter(folder: &Path, rank: usize, targets: &[&str]) {
    let mut tensors = Vec::new();
    for layer in 0..2 {
        for target in targets {
            let (inputs, outputs) = match *target {
                "self_attn.q_proj" => (32, 32),
                "self_attn.v_proj" => (32, 16),
                _ => (48, 32),
            };
            for (part, shape) in [("lora_A", [rank, inputs]), ("lora_B", [outputs, rank])] {
                let name = format!("base_model.model.model.layers.{layer}.{target}.{part}.weight");
                let values = noise(&format!("{name}{rank}"), shape[0] * shape[1]);
                let values = values.map(|x| 0.2 * x).collect();
                tensors.push(tiny::tensor(&name, &shape, values));
            }
        }
    }
    let modules: Vec<&str> = targets.iter().filter_map(|it| it.rsplit('.').next()).collect();
    let config = json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "tiny/llama", "r": rank,
        "lora_alpha": 2 * rank, "target_modules": modules, "bias": "none", "fan_in_fan_out": false, "inference_mode": true
    });
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    fs::write(folder.join("adapter_model.safetensors"), tiny::singles(&tensors)).unwrap();
}
