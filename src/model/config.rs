//! A checkpoint's `config.json`, read strictly: a setting that changes the numbers and is not computed here is an error.
//!
//! Both spellings are read: transformers 4 (`rope_theta`, `rope_scaling`) and 5 (`rope_parameters`).

use serde_json::{Map, Value};

/// Shape and constants of a Llama-type decoder; field names as in `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Number of token ids.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of one head; even. `hidden_size / num_attention_heads` unless the file says otherwise.
    pub head_dim: usize,
    /// Longest sequence the checkpoint was made for, in tokens.
    pub max_position_embeddings: usize,
    /// ε of RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the output head is the embedding matrix.
    pub tie_word_embeddings: bool,
    /// Token that begins a sequence; the first one where the file has a list.
    pub bos_token_id: Option<u32>,
    /// Token that ends a sequence; the first one where the file has a list.
    pub eos_token_id: Option<u32>,
}

/// Why a `config.json` cannot be used.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ConfigError {
    /// The file's top level is no JSON object.
    #[error("config.json: expected an object")]
    NotAnObject,
    /// A field without which the shape is unknown.
    #[error("config.json: `{field}` is missing; expected {expected}")]
    Missing {
        /// Name of the field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A field of the wrong kind or out of range.
    #[error("config.json: `{field}` is {value}; expected {expected}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// What the file says.
        value: Value,
        /// What it should hold.
        expected: String,
    },
    /// A feature that changes the model's numbers and is not implemented.
    #[error("config.json: `{field}` = {value} is not supported; supported: {supported}")]
    Unsupported {
        /// Name of the field.
        field: &'static str,
        /// What the file says.
        value: Value,
        /// What would be accepted.
        supported: &'static str,
    },
}

const COUNT: &str = "a positive integer";

impl LlamaConfig {
    /// Reads a parsed `config.json`.
    pub fn from_json(json: &Value) -> Result<Self, ConfigError> {
        let fields = Fields(json.as_object().ok_or(ConfigError::NotAnObject)?);
        fields.refuse_other_architectures()?;
        fields.refuse_other_rotations()?;
        let num_attention_heads = fields.count("num_attention_heads")?;
        let hidden_size = fields.count("hidden_size")?;
        let config = LlamaConfig {
            vocab_size: fields.count("vocab_size")?,
            hidden_size,
            intermediate_size: fields.count("intermediate_size")?,
            num_hidden_layers: fields.count("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: fields
                .optional_count("num_key_value_heads")?
                .unwrap_or(num_attention_heads),
            head_dim: fields
                .optional_count("head_dim")?
                .unwrap_or(hidden_size / num_attention_heads),
            max_position_embeddings: fields.count("max_position_embeddings")?,
            rms_norm_eps: fields
                .positive("rms_norm_eps")?
                .ok_or(ConfigError::Missing {
                    field: "rms_norm_eps",
                    expected: "a positive number",
                })?,
            rope_theta: fields.rope_theta()?,
            tie_word_embeddings: fields.flag("tie_word_embeddings")?,
            bos_token_id: fields.token("bos_token_id")?,
            eos_token_id: fields.token("eos_token_id")?,
        };
        config.check_heads()?;
        Ok(config)
    }

    fn check_heads(&self) -> Result<(), ConfigError> {
        let invalid = |field, value: usize, expected| {
            Err(ConfigError::Invalid {
                field,
                value: value.into(),
                expected,
            })
        };
        if !self
            .num_attention_heads
            .is_multiple_of(self.num_key_value_heads)
        {
            let expected = format!(
                "a divisor of num_attention_heads = {}",
                self.num_attention_heads
            );
            return invalid("num_key_value_heads", self.num_key_value_heads, expected);
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return invalid(
                "head_dim",
                self.head_dim,
                "an even number (or hidden_size / num_attention_heads even)".into(),
            );
        }
        Ok(())
    }
}

/// The top level of `config.json`. `null` counts as absent, as it does for transformers.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn count(&self, field: &'static str) -> Result<usize, ConfigError> {
        self.optional_count(field)?.ok_or(ConfigError::Missing {
            field,
            expected: COUNT,
        })
    }

    fn optional_count(&self, field: &'static str) -> Result<Option<usize>, ConfigError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(count) if count > 0 => Ok(Some(count as usize)),
            _ => Err(invalid(field, value, COUNT)),
        }
    }

    fn positive(&self, field: &'static str) -> Result<Option<f64>, ConfigError> {
        self.get(field)
            .map(|value| positive(field, value))
            .transpose()
    }

    fn flag(&self, field: &'static str) -> Result<bool, ConfigError> {
        let Some(value) = self.get(field) else {
            return Ok(false);
        };
        value
            .as_bool()
            .ok_or_else(|| invalid(field, value, "true or false"))
    }

    fn token(&self, field: &'static str) -> Result<Option<u32>, ConfigError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let first = value.as_array().map_or(Some(value), |list| list.first());
        let id = first
            .and_then(Value::as_u64)
            .and_then(|id| u32::try_from(id).ok());
        id.map(Some)
            .ok_or_else(|| invalid(field, value, "a token id or a list of them"))
    }

    fn only(
        &self,
        field: &'static str,
        ok: impl Fn(&Value) -> bool,
        supported: &'static str,
    ) -> Result<(), ConfigError> {
        match self.get(field) {
            Some(value) if !ok(value) => Err(ConfigError::Unsupported {
                field,
                value: value.clone(),
                supported,
            }),
            _ => Ok(()),
        }
    }

    fn refuse_other_architectures(&self) -> Result<(), ConfigError> {
        if self.get("model_type").is_none() {
            return Err(ConfigError::Missing {
                field: "model_type",
                expected: "\"llama\" or \"mistral\"",
            });
        }
        self.only(
            "model_type",
            |v| v == "llama" || v == "mistral",
            "\"llama\", \"mistral\"",
        )?;
        self.only("hidden_act", |v| v == "silu", "\"silu\"")?;
        for field in ["attention_bias", "mlp_bias"] {
            self.only(field, |v| v == false, "false")?;
        }
        // With more than one slice transformers adds partial products in another order.
        self.only("pretraining_tp", |v| v == 1, "1")?;
        self.only(
            "quantization_config",
            |_| false,
            "none (dequantize the checkpoint first)",
        )?;
        self.only(
            "layer_types",
            all_full_attention,
            "\"full_attention\" for every layer",
        )?;
        self.refuse_sliding_window()
    }

    /// transformers gives a Mistral without the key a window of 4096 tokens; one that no sequence fills is harmless.
    fn refuse_sliding_window(&self) -> Result<(), ConfigError> {
        let mistral = self.get("model_type").is_some_and(|kind| kind == "mistral");
        let implied = Value::from(4096);
        let window = match self.0.get("sliding_window") {
            None if mistral => &implied,
            None | Some(Value::Null) => return Ok(()),
            Some(window) => window,
        };
        if window.as_u64().is_some_and(|width| {
            width as usize >= self.count("max_position_embeddings").unwrap_or(usize::MAX)
        }) {
            return Ok(());
        }
        let supported = "null, or at least max_position_embeddings";
        Err(ConfigError::Unsupported {
            field: "sliding_window",
            value: window.clone(),
            supported,
        })
    }

    fn refuse_other_rotations(&self) -> Result<(), ConfigError> {
        self.only("partial_rotary_factor", |v| v.as_f64() == Some(1.0), "1")?;
        for field in ["rope_scaling", "rope_parameters"] {
            self.only(
                field,
                is_plain_rotation,
                "null, or rope_type \"default\" with nothing but rope_theta",
            )?;
        }
        Ok(())
    }

    fn rope_theta(&self) -> Result<f64, ConfigError> {
        let nested = self
            .get("rope_parameters")
            .and_then(|rope| rope.get("rope_theta"));
        match nested.or(self.get("rope_theta")) {
            Some(value) => positive("rope_theta", value),
            None => Ok(10_000.0),
        }
    }
}

fn positive(field: &'static str, value: &Value) -> Result<f64, ConfigError> {
    let number = value
        .as_f64()
        .filter(|number| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| invalid(field, value, "a positive number"))
}

fn invalid(field: &'static str, value: &Value, expected: &str) -> ConfigError {
    ConfigError::Invalid {
        field,
        value: value.clone(),
        expected: expected.to_owned(),
    }
}

fn all_full_attention(layers: &Value) -> bool {
    layers
        .as_array()
        .is_some_and(|layers| layers.iter().all(|layer| layer == "full_attention"))
}

/// Old files call the kind `type`.
fn is_plain_rotation(rope: &Value) -> bool {
    rope.as_object().is_some_and(|rope| {
        rope.iter().all(|(key, value)| match key.as_str() {
            "rope_theta" => value.is_number(),
            "rope_type" | "type" => value == "default",
            "partial_rotary_factor" => value.as_f64() == Some(1.0),
            _ => value.is_null(),
        })
    })
}
