//! The tokenizer that the metadata describe, for byte-level BPE with a pre-tokenizer whose `tokenizer.json` is known.

use std::str::FromStr;

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use super::GgufFault;
use super::header::Header;

/// llama.cpp's `enum llama_token_type`.
const NORMAL: i64 = 1;
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const UNUSED: i64 = 5;
const BYTE: i64 = 6;

/// Llama 3's and Qwen 2's split, which differ in how many digits make a word.
const SPLIT: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{DIGITS}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Pre-tokenizers whose parts are certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pre {
    Gpt2,
    SmolLm,
    Llama3,
    Qwen2,
}

impl Pre {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gpt-2" => Pre::Gpt2,
            "smollm" => Pre::SmolLm,
            "llama-bpe" | "llama3" | "llama-v3" => Pre::Llama3,
            "qwen2" => Pre::Qwen2,
            _ => return None,
        })
    }

    /// As in `tokenizer.json`.
    fn parts(self) -> Value {
        let bytes = |use_regex: bool| {
            json!({
                "type": "ByteLevel",
                "add_prefix_space": false,
                "trim_offsets": true,
                "use_regex": use_regex,
            })
        };
        let split = |digits: &str| {
            let pattern = json!({"Regex": SPLIT.replace("{DIGITS}", digits)});
            json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false})
        };
        let sequence = |first| json!([first, bytes(false)]);
        let parts = match self {
            Pre::Gpt2 => return bytes(true),
            Pre::SmolLm => json!([{"type": "Digits", "individual_digits": true}, bytes(true)]),
            Pre::Llama3 => sequence(split("{1,3}")),
            Pre::Qwen2 => sequence(split("")),
        };
        json!({"type": "Sequence", "pretokenizers": parts})
    }
}

/// Builds the tokenizer; `None` where the file has none.
pub(super) fn tokenizer(header: &Header) -> Result<Option<Tokenizer>, GgufFault> {
    let entry = |name: &str| header.metadata.get(&format!("tokenizer.ggml.{name}"));
    match entry("model").map(|model| model.as_str().unwrap_or_default()) {
        None | Some("none" | "no_vocab") => return Ok(None),
        Some("gpt2") => {}
        Some(model) => return Err(unknown("model", model, "gpt2 (byte-level BPE)")),
    }
    let name = entry("pre").and_then(Value::as_str).unwrap_or("default");
    let valid = "gpt-2, llama-bpe, qwen2 and smollm";
    let pre = Pre::named(name).ok_or_else(|| unknown("pre", name, valid))?;
    if entry("add_eos_token") == Some(&Value::Bool(true)) {
        return Err(unknown("add_eos_token", "true", "false"));
    }
    let tokens = texts(header, "tokenizer.ggml.tokens")?;
    let merges = texts(header, "tokenizer.ggml.merges")?;
    let json = json!({
        "version": "1.0",
        "added_tokens": added_tokens(header, &tokens)?,
        "normalizer": (pre == Pre::Qwen2).then(|| json!({"type": "NFC"})),
        "pre_tokenizer": pre.parts(),
        "post_processor": post_processor(header, pre, &tokens)?,
        "decoder": {
            "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true
        },
        "model": {
            "type": "BPE",
            "ignore_merges": pre == Pre::Llama3,
            "vocab": vocabulary(&tokens)?,
            "merges": merges,
        },
    });
    Tokenizer::from_str(&json.to_string()).map(Some).map_err(GgufFault::Tokenizer)
}

fn unknown(name: &str, value: &str, valid: &str) -> GgufFault {
    let reason = format!(
        "the tokenizer cannot be built from `tokenizer.ggml.{name}` = {value}; valid: {valid}"
    );
    GgufFault::NoTokenizer { reason }
}

fn texts<'a>(header: &'a Header, key: &str) -> Result<Vec<&'a str>, GgufFault> {
    let expected = "a list of strings";
    let list = header.metadata.get(key).and_then(Value::as_array);
    let list = list.ok_or_else(|| GgufFault::Missing { key: key.to_owned(), expected })?;
    let text = |(index, value): (usize, &'a Value)| {
        value.as_str().ok_or_else(|| GgufFault::Invalid {
            key: format!("{key}[{index}]"),
            value: Box::new(value.clone()),
            expected: "a string".to_owned(),
        })
    };
    list.iter().enumerate().map(text).collect()
}

fn vocabulary(tokens: &[&str]) -> Result<Map<String, Value>, GgufFault> {
    let mut vocabulary = Map::new();
    for (id, token) in tokens.iter().enumerate() {
        if vocabulary.insert((*token).to_owned(), id.into()).is_some() {
            return Err(GgufFault::Twice { place: format!("tokenizer.ggml.tokens: {token:?}") });
        }
    }
    Ok(vocabulary)
}

/// Tokens that are cut out of a text before anything else.
fn added_tokens(header: &Header, tokens: &[&str]) -> Result<Vec<Value>, GgufFault> {
    const KEY: &str = "tokenizer.ggml.token_type";
    let Some(kinds) = header.metadata.get(KEY).and_then(Value::as_array) else {
        return Err(GgufFault::Missing { key: KEY.to_owned(), expected: "a list of integers" });
    };
    let mut added = Vec::new();
    for (id, (token, kind)) in tokens.iter().zip(kinds).enumerate() {
        match kind.as_i64() {
            Some(NORMAL | UNUSED | BYTE) => {}
            Some(kind @ (UNKNOWN | CONTROL | USER_DEFINED)) => added.push(json!({
                "id": id,
                "content": token,
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": kind != USER_DEFINED,
            })),
            _ => {
                return Err(GgufFault::Invalid {
                    key: format!("{KEY}[{id}]"),
                    value: Box::new(kind.clone()),
                    expected: "1 to 6".to_owned(),
                });
            }
        }
    }
    Ok(added)
}

/// Puts the first token in front, where the model wants it; llama.cpp does so by default for Llama 3 only.
fn post_processor(header: &Header, pre: Pre, tokens: &[&str]) -> Result<Value, GgufFault> {
    let entry = |name: &str| header.metadata.get(&format!("tokenizer.ggml.{name}"));
    let add = entry("add_bos_token").and_then(Value::as_bool).unwrap_or(pre == Pre::Llama3);
    if !add {
        return Ok(Value::Null);
    }
    let key = "tokenizer.ggml.bos_token_id";
    let id = entry("bos_token_id").ok_or_else(|| GgufFault::Missing {
        key: key.to_owned(),
        expected: "the token that add_bos_token asks for",
    })?;
    let token = id.as_u64().and_then(|id| tokens.get(usize::try_from(id).ok()?));
    let token = token.ok_or_else(|| GgufFault::Invalid {
        key: key.to_owned(),
        value: Box::new(id.clone()),
        expected: format!("below the {} tokens", tokens.len()),
    })?;
    let special = |kind| json!({"SpecialToken": {"id": token, "type_id": kind}});
    let text = |name, kind| json!({"Sequence": {"id": name, "type_id": kind}});
    Ok(json!({
        "type": "TemplateProcessing",
        "single": [special(0), text("A", 0)],
        "pair": [special(0), text("A", 0), special(1), text("B", 1)],
        "special_tokens": {(*token): {"id": token, "ids": [id], "tokens": [token]}},
    }))
}
