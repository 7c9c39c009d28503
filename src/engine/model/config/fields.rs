//! Reading `config.json` field by field, strictly, and remembering what was read.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::ConfigError;
use crate::model::spec::{Activation, SpecialTokens};

const COUNT: &str = "a positive integer";
const MOST_PARTS: usize = 4096;

/// The top level of `config.json`. `null` counts as absent, as it does for transformers.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    read: RefCell<BTreeMap<String, Value>>,
}

impl<'a> Fields<'a> {
    pub fn new(json: &'a Value) -> Result<Self, ConfigError> {
        let map = json.as_object().ok_or(ConfigError::NotAnObject)?;
        Ok(Fields { map, read: RefCell::default() })
    }

    /// Another object of the file, remembered as a whole.
    pub fn inner(&self, field: &str, value: &'a Value) -> Result<Fields<'a>, ConfigError> {
        let map = value.as_object().ok_or_else(|| invalid(field, value, "an object"))?;
        self.remember(field, value.clone());
        Ok(Fields { map, read: RefCell::default() })
    }

    /// Every field that was read, with the value that counts.
    pub fn settings(&self) -> BTreeMap<String, Value> {
        self.read.borrow().clone()
    }

    pub fn keys(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.map.iter()
    }

    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// Whether the file has the field, were it `null`.
    pub fn has(&self, field: &str) -> bool {
        self.map.contains_key(field)
    }

    /// Refuses `null` where transformers' class does.
    pub fn not_null(&self, field: &str, expected: &str) -> Result<(), ConfigError> {
        match self.map.get(field) {
            Some(Value::Null) => Err(invalid(field, &Value::Null, expected)),
            _ => Ok(()),
        }
    }

    fn remember<T: Into<Value> + Clone>(&self, field: &str, value: T) -> T {
        self.read.borrow_mut().insert(field.to_owned(), value.clone().into());
        value
    }

    pub fn count(&self, field: &str) -> Result<usize, ConfigError> {
        let missing = || ConfigError::Missing { field: field.to_owned(), expected: COUNT };
        self.optional_count(field)?.ok_or_else(missing)
    }

    pub fn count_or(&self, field: &str, default: usize) -> Result<usize, ConfigError> {
        let count = self.optional_count(field)?.unwrap_or(default);
        Ok(self.remember(field, count))
    }

    /// A number of things that may be none.
    pub fn natural_or(&self, field: &str, default: usize) -> Result<usize, ConfigError> {
        match self.get(field) {
            Some(value) if value.as_u64() == Some(0) => Ok(self.remember(field, 0)),
            _ => self.count_or(field, default),
        }
    }

    /// Which of a field's names the file uses; the first if none.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if it uses two that disagree.
    pub fn spelling<'n>(&self, names: &[&'n str]) -> Result<&'n str, ConfigError> {
        let mut used = names.iter().copied().filter(|name| self.get(name).is_some());
        let first = used.next().or(names.first().copied()).unwrap_or_default();
        match used.find(|name| self.get(name) != self.get(first)) {
            Some(other) => {
                let value = self.get(other).unwrap_or(&Value::Null);
                Err(invalid(other, value, &format!("the same as `{first}`")))
            }
            None => Ok(first),
        }
    }

    /// A field with several names.
    pub fn count_of(&self, names: &[&str], default: usize) -> Result<usize, ConfigError> {
        self.count_or(self.spelling(names)?, default)
    }

    /// How many parts of a kind a network has: layers, heads, experts. Bounded, since each part is described in memory
    /// before it is known whether the checkpoint has it.
    pub fn part_count_of(&self, names: &[&str], default: usize) -> Result<usize, ConfigError> {
        let count = self.count_of(names, default)?;
        self.bound(self.spelling(names)?, count)
    }

    /// Refuses more parts than any network has.
    pub fn bound(&self, field: &str, count: usize) -> Result<usize, ConfigError> {
        match count <= MOST_PARTS {
            true => Ok(count),
            false => Err(invalid(field, &count.into(), &format!("at most {MOST_PARTS}"))),
        }
    }

    pub fn optional_count(&self, field: &str) -> Result<Option<usize>, ConfigError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        match value.as_u64().and_then(|count| usize::try_from(count).ok()) {
            // Beyond this, sizes overflow before any checkpoint could be that large.
            Some(count) if count > 0 && count <= 1 << 31 => Ok(Some(self.remember(field, count))),
            _ => Err(invalid(field, value, COUNT)),
        }
    }

    pub fn number_or(&self, field: &str, default: f64) -> Result<f64, ConfigError> {
        let number = self.optional_number(field)?.unwrap_or(default);
        Ok(self.remember(field, number))
    }

    pub fn optional_number(&self, field: &str) -> Result<Option<f64>, ConfigError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|number| *number > 0.0 && number.is_finite());
        let number = number.ok_or_else(|| invalid(field, value, "a positive number"))?;
        Ok(Some(self.remember(field, number)))
    }

    pub fn flag(&self, field: &str, default: bool) -> Result<bool, ConfigError> {
        let Some(value) = self.get(field) else {
            return Ok(self.remember(field, default));
        };
        let flag = value.as_bool().ok_or_else(|| invalid(field, value, "true or false"))?;
        Ok(self.remember(field, flag))
    }

    pub fn text(&self, field: &str, default: &'a str) -> Result<&'a str, ConfigError> {
        let Some(value) = self.get(field) else {
            return Ok(self.remember(field, default));
        };
        let text = value.as_str().ok_or_else(|| invalid(field, value, "a string"))?;
        Ok(self.remember(field, text))
    }

    pub fn list(&self, field: &str) -> Result<Option<&'a Vec<Value>>, ConfigError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let list = value.as_array().ok_or_else(|| invalid(field, value, "a list"))?;
        self.remember(field, value.clone());
        Ok(Some(list))
    }

    /// Refuses a field whose value changes the numbers in a way that is not computed here.
    pub fn only(&self, field: &str, allowed: &[Value]) -> Result<(), ConfigError> {
        match self.get(field) {
            Some(value) if !allowed.iter().any(|allowed| same(allowed, value)) => {
                let supported =
                    allowed.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
                Err(unsupported(field, value, supported))
            }
            _ => Ok(()),
        }
    }

    pub fn activation(&self, field: &str, default: &'a str) -> Result<Activation, ConfigError> {
        let name = self.text(field, default)?;
        activation(name).ok_or_else(|| {
            let supported =
                "silu, swish, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu or tanh";
            unsupported(field, &json!(name), supported.into())
        })
    }

    pub fn special_tokens(&self) -> Result<SpecialTokens, ConfigError> {
        let first = |field| Ok(self.token_ids(field)?.first().copied());
        Ok(SpecialTokens {
            bos: first("bos_token_id")?,
            eos: self.token_ids("eos_token_id")?,
            pad: first("pad_token_id")?,
            decoder_start: first("decoder_start_token_id")?,
        })
    }

    /// With the class's defaults for those that the file does not mention; `null` means none.
    pub fn special_tokens_or(&self, defaults: SpecialTokens) -> Result<SpecialTokens, ConfigError> {
        let read = self.special_tokens()?;
        let one = |field, read, default| if self.has(field) { read } else { default };
        Ok(SpecialTokens {
            bos: one("bos_token_id", read.bos, defaults.bos),
            eos: if self.has("eos_token_id") { read.eos } else { defaults.eos },
            pad: one("pad_token_id", read.pad, defaults.pad),
            decoder_start: one(
                "decoder_start_token_id",
                read.decoder_start,
                defaults.decoder_start,
            ),
        })
    }

    fn token_ids(&self, field: &str) -> Result<Vec<u32>, ConfigError> {
        let Some(value) = self.get(field) else {
            return Ok(Vec::new());
        };
        let one = std::slice::from_ref(value);
        let ids = value.as_array().map_or(one, Vec::as_slice);
        // Some files say -1 for "none".
        let ids = ids.iter().filter(|id| id.as_i64() != Some(-1));
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        ids.map(id)
            .collect::<Option<_>>()
            .ok_or_else(|| invalid(field, value, "a token id or a list of them"))
    }
}

/// transformers' names (`ACT2FN`).
pub(super) fn activation(name: &str) -> Option<Activation> {
    Some(match name {
        "silu" | "swish" => Activation::Silu,
        "gelu" | "gelu_python" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_python_tanh" | "gelu_accurate" => {
            Activation::GeluTanh
        }
        "relu" => Activation::Relu,
        "tanh" => Activation::Tanh,
        _ => return None,
    })
}

/// 1 and 1.0 are the same setting.
fn same(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && b.is_number() && a.as_f64() == b.as_f64())
}

pub(super) fn invalid(field: &str, value: &Value, expected: &str) -> ConfigError {
    ConfigError::Invalid {
        field: field.to_owned(),
        value: value.clone(),
        expected: expected.to_owned(),
    }
}

pub(super) fn unsupported(field: &str, value: &Value, supported: String) -> ConfigError {
    ConfigError::Unsupported { field: field.to_owned(), value: value.clone(), supported }
}
