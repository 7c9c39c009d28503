//! The tokenizer: whole words, single digits and letters, and every printable ASCII character as
//! fallback.
//!
//! It is a byte-level BPE without merges. `ignore_merges` (introduced for Llama 3) takes a
//! pre-token that is in the vocabulary as one token; any other is spelt. A pre-token carries its
//! leading space, so encoding question + " " + choice begins with the encoding of the question.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Tokenizer};

use crate::Result;

pub const SPECIAL_TOKENS: [&str; 4] = ["<pad>", "<s>", "</s>", "<unk>"];
pub const PAD: u32 = 0;
pub const BOS: u32 = 1;
pub const EOS: u32 = 2;

/// Words with their space, single digits with theirs, runs of punctuation, runs of spaces.
const PRE_TOKEN: &str = " ?[A-Za-z]+| ?[0-9]| ?[^A-Za-z0-9 ]+| +";

/// The tokenizer whose words are all the pre-tokens of `texts`.
pub fn build(texts: &[String]) -> Result<Tokenizer> {
    let spelling = tokenizer(&BTreeSet::new())?;
    let mut words = BTreeSet::new();
    for text in texts {
        words.extend(pre_tokens(&spelling, text)?);
    }
    tokenizer(&words)
}

pub fn write(tokenizer: &Tokenizer, dir: &Path) -> Result<()> {
    tokenizer.save(dir.join("tokenizer.json"), true)?;
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": SPECIAL_TOKENS[0],
        "bos_token": SPECIAL_TOKENS[1],
        "eos_token": SPECIAL_TOKENS[2],
        "unk_token": SPECIAL_TOKENS[3],
        "clean_up_tokenization_spaces": false,
        "model_max_length": 128,
    });
    crate::write_json(&dir.join("tokenizer_config.json"), &config)
}

fn pre_tokens(tokenizer: &Tokenizer, text: &str) -> Result<Vec<String>> {
    let mut split = PreTokenizedString::from(text);
    if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
        pre_tokenizer.pre_tokenize(&mut split)?;
    }
    let splits = split.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    Ok(splits.into_iter().map(|(piece, _, _)| piece.to_string()).collect())
}

fn tokenizer(words: &BTreeSet<String>) -> Result<Tokenizer> {
    let special = SPECIAL_TOKENS.map(String::from);
    // Byte-level BPE writes a space as "Ġ".
    let characters: Vec<String> = ('!'..='~').chain(['Ġ']).map(String::from).collect();
    let longer = words.iter().filter(|word| word.chars().count() > 1).cloned();
    let vocab: serde_json::Map<String, Value> = special
        .into_iter()
        .chain(characters)
        .chain(longer)
        .enumerate()
        .map(|(id, token)| (token, json!(id)))
        .collect();
    let json = tokenizer_json(Value::Object(vocab));
    Tokenizer::from_bytes(serde_json::to_vec(&json)?)
}

fn tokenizer_json(vocab: Value) -> Value {
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false
    });
    let added: Vec<Value> = SPECIAL_TOKENS.iter().enumerate().map(added_token).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": PRE_TOKEN}, "behavior": "Isolated", "invert": false},
            byte_level,
        ]},
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": true, "vocab": vocab, "merges": [],
        },
    })
}

fn added_token((id, content): (usize, &&str)) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true
    })
}
