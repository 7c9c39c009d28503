//! Metadata to a Hugging Face config. Read strictly: an entry of the architecture that is not understood is an error.
//!
//! Keys: `gguf-py/gguf/constants.py` of llama.cpp; what an absent key means: `llama-model.cpp`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::GgufFault;
use super::header::Header;

const ARCHITECTURES: &str = "llama, qwen2, qwen3, gemma, gemma2";
const COUNT: &str = "a positive integer";
/// Gemma 2 27B, by which llama.cpp knows that its scores are scaled otherwise; the file does not say.
const GEMMA2_27B_LAYERS: usize = 46;

/// Families whose tensors are named and changed alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Llama,
    Mixtral,
    Qwen2,
    Qwen3,
    Gemma,
    Gemma2,
}

impl Family {
    /// Whether the file's architecture is `llama`.
    pub fn is_llama(self) -> bool {
        matches!(self, Family::Llama | Family::Mixtral)
    }

    fn model_type(self) -> &'static str {
        match self {
            Family::Llama => "llama",
            Family::Mixtral => "mixtral",
            Family::Qwen2 => "qwen2",
            Family::Qwen3 => "qwen3",
            Family::Gemma => "gemma",
            Family::Gemma2 => "gemma2",
        }
    }
}

/// What the metadata say.
#[derive(Debug)]
pub(super) struct Settings {
    pub family: Family,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub attention_bias: bool,
    pub mlp_bias: bool,
    /// As a checkpoint's `config.json` has it.
    pub config: Value,
}

impl Settings {
    pub fn read(header: &Header) -> Result<Self, GgufFault> {
        let architecture = architecture(header)?;
        let entries = Entries { header, architecture, read: RefCell::default() };
        let family = family(&entries)?;
        let heads = entries.count("attention.head_count")?;
        let kv_heads = entries.optional_count("attention.head_count_kv")?.unwrap_or(heads);
        let hidden = entries.count("embedding_length")?;
        let head_dim = entries.optional_count("attention.key_length")?.unwrap_or(hidden / heads);
        entries.only("attention.value_length", head_dim)?;
        entries.only("rope.dimension_count", head_dim)?;
        let layers = entries.count("block_count")?;
        let has = |tensor: &str| header.tensors.contains_key(tensor);
        let attention_bias = has("blk.0.attn_q.bias");
        let mlp_bias = family == Family::Llama && has("blk.0.ffn_up.bias");
        let mut config = json!({
            "model_type": family.model_type(),
            "vocab_size": vocab_size(&entries)?,
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "head_dim": head_dim,
            "intermediate_size": entries.count("feed_forward_length")?,
            "max_position_embeddings": entries.count("context_length")?,
            "rms_norm_eps": entries.number("attention.layer_norm_rms_epsilon")?,
            "rope_parameters": rope(&entries)?,
            "attention_bias": attention_bias,
            "mlp_bias": mlp_bias,
            "tie_word_embeddings": !has("output.weight"),
            "torch_dtype": "float32",
        });
        if let Value::Object(config) = &mut config {
            of_family(&entries, family, layers, hidden / heads, head_dim, config)?;
            config.extend(special_tokens(header));
        }
        entries.refuse_unread()?;
        Ok(Settings { family, layers, heads, kv_heads, head_dim, attention_bias, mlp_bias, config })
    }
}

fn architecture(header: &Header) -> Result<&str, GgufFault> {
    const KEY: &str = "general.architecture";
    match header.metadata.get(KEY) {
        Some(Value::String(architecture)) => Ok(architecture),
        Some(value) => Err(invalid(KEY, value, "a string")),
        None => Err(GgufFault::Missing { key: KEY.to_owned(), expected: ARCHITECTURES }),
    }
}

fn family(entries: &Entries) -> Result<Family, GgufFault> {
    Ok(match entries.architecture {
        "llama" if entries.optional_count("expert_count")?.is_some() => Family::Mixtral,
        "llama" => Family::Llama,
        "qwen2" => Family::Qwen2,
        "qwen3" => Family::Qwen3,
        "gemma" => Family::Gemma,
        "gemma2" => Family::Gemma2,
        other => {
            return Err(GgufFault::Unsupported {
                key: "general.architecture".to_owned(),
                value: Box::new(other.into()),
                supported: ARCHITECTURES.to_owned(),
            });
        }
    })
}

/// What only one family has.
fn of_family(
    entries: &Entries,
    family: Family,
    layers: usize,
    hidden_per_head: usize,
    head_dim: usize,
    config: &mut Map<String, Value>,
) -> Result<(), GgufFault> {
    let mut set = |field: &str, value: Value| config.insert(field.to_owned(), value);
    match family {
        Family::Mixtral => {
            set("num_local_experts", entries.count("expert_count")?.into());
            set("num_experts_per_tok", entries.count("expert_used_count")?.into());
            set("sliding_window", Value::Null);
        }
        Family::Qwen2 | Family::Qwen3 => {
            set("use_sliding_window", false.into());
        }
        Family::Gemma2 => {
            let scalar = if layers == GEMMA2_27B_LAYERS { hidden_per_head } else { head_dim };
            set("query_pre_attn_scalar", scalar.into());
            let window = entries.optional_count("attention.sliding_window")?.unwrap_or(4096);
            set("sliding_window", window.into());
            let attention = entries.number("attn_logit_softcapping")?;
            set("attn_logit_softcapping", attention.into());
            set("final_logit_softcapping", entries.number("final_logit_softcapping")?.into());
        }
        Family::Llama | Family::Gemma => {}
    }
    if matches!(family, Family::Gemma | Family::Gemma2) {
        set("hidden_act", "gelu_pytorch_tanh".into());
        set("hidden_activation", "gelu_pytorch_tanh".into());
    }
    Ok(())
}

/// The embedding has a row per token; not every converter writes the number.
fn vocab_size(entries: &Entries) -> Result<usize, GgufFault> {
    const EMBEDDING: &str = "token_embd.weight";
    let embedding = entries.header.tensors.get(EMBEDDING);
    let rows = embedding.and_then(|stored| stored.shape.first().copied());
    let rows = rows.ok_or_else(|| GgufFault::NoTensor { name: EMBEDDING.to_owned() })?;
    entries.only("vocab_size", rows)?;
    Ok(rows)
}

fn rope(entries: &Entries) -> Result<Value, GgufFault> {
    let theta = entries.optional_number("rope.freq_base")?.unwrap_or(10_000.0);
    let key = "rope.scaling.type";
    let kind = entries.get(key).cloned();
    let factor = entries.optional_number("rope.scaling.factor")?;
    // Before there was a type, a linear factor stood alone, under this name.
    let old = entries.optional_number("rope.scale_linear")?;
    let original = entries.optional_count("rope.scaling.original_context_length")?;
    // Says how the model was trained, not what it computes.
    entries.get("rope.scaling.finetuned");
    let missing = || GgufFault::Missing {
        key: entries.key("rope.scaling.factor"),
        expected: "a positive number",
    };
    match kind.as_ref().map(|kind| kind.as_str().unwrap_or_default()) {
        None if old.is_some_and(|old| old != 1.0) => {
            Ok(json!({"rope_type": "linear", "rope_theta": theta, "factor": old}))
        }
        None | Some("none") => Ok(json!({"rope_type": "default", "rope_theta": theta})),
        Some("linear") => {
            let factor = factor.ok_or_else(missing)?;
            Ok(json!({"rope_type": "linear", "rope_theta": theta, "factor": factor}))
        }
        Some("yarn") => Ok(json!({
            "rope_type": "yarn",
            "rope_theta": theta,
            "factor": factor.ok_or_else(missing)?,
            "original_max_position_embeddings": original,
        })),
        Some(_) => Err(GgufFault::Unsupported {
            key: entries.key(key),
            value: Box::new(kind.unwrap_or_default()),
            supported: "none, linear or yarn".to_owned(),
        }),
    }
}

fn special_tokens(header: &Header) -> Map<String, Value> {
    let tokens = [
        ("bos_token_id", "tokenizer.ggml.bos_token_id"),
        ("eos_token_id", "tokenizer.ggml.eos_token_id"),
        ("pad_token_id", "tokenizer.ggml.padding_token_id"),
    ];
    let token = |(field, key): (&str, &str)| {
        Some((field.to_owned(), header.metadata.get(key).filter(|id| id.is_u64())?.clone()))
    };
    tokens.into_iter().filter_map(token).collect()
}

/// The entries of one architecture, `<architecture>.<name>`, and which of them were read.
struct Entries<'a> {
    header: &'a Header,
    architecture: &'a str,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Entries<'a> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        let key = self.key(name);
        let value = self.header.metadata.get(&key);
        self.read.borrow_mut().insert(key);
        value
    }

    /// 0 is llama.cpp's "there is none".
    fn optional_count(&self, name: &str) -> Result<Option<usize>, GgufFault> {
        let Some(value) = self.get(name).filter(|value| value.as_u64() != Some(0)) else {
            return Ok(None);
        };
        match value.as_u64().and_then(|count| usize::try_from(count).ok()) {
            Some(count) if count <= 1 << 31 => Ok(Some(count)),
            _ => Err(invalid(&self.key(name), value, COUNT)),
        }
    }

    fn count(&self, name: &str) -> Result<usize, GgufFault> {
        let missing = || GgufFault::Missing { key: self.key(name), expected: COUNT };
        self.optional_count(name)?.ok_or_else(missing)
    }

    fn optional_number(&self, name: &str) -> Result<Option<f64>, GgufFault> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|number| *number > 0.0);
        number.map(Some).ok_or_else(|| invalid(&self.key(name), value, "a positive number"))
    }

    fn number(&self, name: &str) -> Result<f64, GgufFault> {
        let missing = || GgufFault::Missing { key: self.key(name), expected: "a positive number" };
        self.optional_number(name)?.ok_or_else(missing)
    }

    /// Refuses an entry that is there with another value.
    fn only(&self, name: &str, expected: usize) -> Result<(), GgufFault> {
        match self.optional_count(name)? {
            Some(found) if found != expected => Err(GgufFault::Unsupported {
                key: self.key(name),
                value: Box::new(found.into()),
                supported: expected.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn refuse_unread(&self) -> Result<(), GgufFault> {
        let prefix = self.key("");
        let read = self.read.borrow();
        let of_architecture: BTreeMap<_, _> =
            self.header.metadata.iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
        match of_architecture.into_iter().find(|(key, _)| !read.contains(*key)) {
            Some((key, value)) => Err(GgufFault::Unsupported {
                key: key.clone(),
                value: Box::new(value.clone()),
                supported: "files without it".to_owned(),
            }),
            None => Ok(()),
        }
    }
}

fn invalid(key: &str, value: &Value, expected: &str) -> GgufFault {
    let (key, expected) = (key.to_owned(), expected.to_owned());
    GgufFault::Invalid { key, value: Box::new(value.clone()), expected }
}
