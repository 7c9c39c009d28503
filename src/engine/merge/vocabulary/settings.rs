//! `tokenizer_config.json` and its older companions: the special tokens that belong to a tokenizer besides its file.
//!
//! What is added to a tokenizer when it is loaded, and in which order, decides the ids; it is as in transformers 5.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::VocabularyError;

pub(super) const CONFIG: &str = "tokenizer_config.json";
pub(super) const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";
pub(super) const ADDED_BY_ID: &str = "added_tokens_decoder";

const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const LISTED: [&str; 2] = ["extra_special_tokens", "additional_special_tokens"];

/// Tokens that the settings of a folder name.
#[derive(Debug, Clone, Default)]
pub(super) struct TokenizerSettings {
    /// Added whatever the tokenizer has, by the id they had.
    added: BTreeMap<u32, AddedToken>,
    /// Added where the tokenizer does not have them as added tokens.
    special: Vec<AddedToken>,
}

/// A token as the files have it; what is not said is false, but for `normalized`.
#[derive(Deserialize)]
struct RawToken {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl TokenizerSettings {
    pub(super) fn read(dir: &Path) -> Result<TokenizerSettings, VocabularyError> {
        let mut config: Map<String, Value> = read_json(&dir.join(CONFIG))?.unwrap_or_default();
        let added = match config.remove(ADDED_BY_ID) {
            Some(added) => added_by_id(added, &dir.join(CONFIG))?,
            None => {
                let older: Option<Map<String, Value>> = read_json(&dir.join(SPECIAL_TOKENS))?;
                config.extend(older.unwrap_or_default());
                added_by_text(dir, &config)?
            }
        };
        let special = special_tokens(&config, &added);
        Ok(TokenizerSettings { added, special })
    }

    /// Adds what the tokenizer file does not have.
    pub(super) fn apply(&self, tokenizer: &mut Tokenizer) -> Result<(), tokenizers::Error> {
        tokenizer.add_tokens(self.added.values().cloned())?;
        self.apply_special(tokenizer)
    }

    /// Adds the special tokens alone, which a saved tokenizer gets again when it is loaded.
    pub(super) fn apply_special(&self, tokenizer: &mut Tokenizer) -> Result<(), tokenizers::Error> {
        for token in &self.special {
            let added = tokenizer.get_added_vocabulary().get_vocab();
            if !added.contains_key(&token.content) {
                tokenizer.add_tokens([token.clone()])?;
            }
        }
        Ok(())
    }
}

/// A file of settings; `None` where there is none.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(
    path: &Path,
) -> Result<Option<T>, VocabularyError> {
    if !path.is_file() {
        return Ok(None);
    }
    let text =
        fs::read(path).map_err(|source| VocabularyError::Read { path: path.to_owned(), source })?;
    parse(serde_json::from_slice(&text), path).map(Some)
}

fn parse<T>(parsed: serde_json::Result<T>, path: &Path) -> Result<T, VocabularyError> {
    parsed.map_err(|source| VocabularyError::Json { path: path.to_owned(), source })
}

fn added_by_id(added: Value, path: &Path) -> Result<BTreeMap<u32, AddedToken>, VocabularyError> {
    let raw: BTreeMap<u32, RawToken> = parse(serde_json::from_value(added), path)?;
    Ok(raw.into_iter().map(|(id, token)| (id, token.checked())).collect())
}

/// `added_tokens.json`, which has ids only.
fn added_by_text(
    dir: &Path,
    config: &Map<String, Value>,
) -> Result<BTreeMap<u32, AddedToken>, VocabularyError> {
    let ids: BTreeMap<String, u32> = read_json(&dir.join(ADDED_TOKENS))?.unwrap_or_default();
    let special = special_tokens(config, &BTreeMap::new());
    let token = |(text, id): (String, u32)| {
        let is_special = special.iter().any(|token| token.content == text);
        (id, AddedToken::from(text, is_special))
    };
    Ok(ids.into_iter().map(token).collect())
}

/// The named ones in their fixed order, then those of the model's own (`image_token`), then the lists.
fn special_tokens(
    config: &Map<String, Value>,
    added: &BTreeMap<u32, AddedToken>,
) -> Vec<AddedToken> {
    let named = NAMED.iter().filter_map(|key| config.get(*key));
    let own = config.iter().filter(|(key, _)| is_own(key)).map(|(_, token)| token);
    let listed = LISTED.iter().filter_map(|key| config.get(*key)).flat_map(entries);
    named.chain(own).chain(listed).filter_map(|token| special_token(token, added)).collect()
}

fn is_own(key: &str) -> bool {
    key.ends_with("_token") && !NAMED.contains(&key)
}

fn entries(listed: &Value) -> Vec<&Value> {
    match listed {
        Value::Array(tokens) => tokens.iter().collect(),
        Value::Object(tokens) => tokens.values().collect(),
        _ => Vec::new(),
    }
}

/// A text or a mapping; its properties are those of the added token of that text, if there is one.
fn special_token(token: &Value, added: &BTreeMap<u32, AddedToken>) -> Option<AddedToken> {
    let token = match token {
        Value::String(text) => AddedToken::from(text.clone(), true),
        other => RawToken { special: true, ..RawToken::deserialize(other).ok()? }.checked(),
    };
    let known = added.values().find(|known| known.content == token.content);
    Some(AddedToken { special: true, ..known.cloned().unwrap_or(token) })
}

impl RawToken {
    fn checked(self) -> AddedToken {
        AddedToken {
            normalized: self.normalized.unwrap_or(!self.special),
            single_word: self.single_word,
            lstrip: self.lstrip,
            rstrip: self.rstrip,
            ..AddedToken::from(self.content, self.special)
        }
    }
}
