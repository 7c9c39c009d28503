//! The tokenizer of one model, and which of its tokens have a row.

use std::collections::HashMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::VocabularyError;
use super::settings::{TokenizerSettings, read_json};

const FILE: &str = "tokenizer.json";

/// Files of tokenizers that only Python can read.
const OTHER_FILES: [&str; 6] =
    ["tokenizer.model", "spiece.model", "tekken.json", "vocab.json", "vocab.txt", "tiktoken.model"];

/// A tokenizer as transformers loads it: the file, and what the settings add.
#[derive(Debug, Clone)]
pub(super) struct ModelTokenizer {
    pub(super) dir: PathBuf,
    pub(super) tokenizer: Tokenizer,
    pub(super) settings: TokenizerSettings,
    /// For looking up only; its order is not fixed.
    pub(super) vocabulary: HashMap<String, u32>,
    /// Ids from here on have no row of their own.
    pub(super) rows: usize,
}

impl ModelTokenizer {
    /// `None` where the folder has no tokenizer at all. `vocab_size` is the config's; without one, all tokens count.
    pub(super) fn read(
        dir: &Path,
        vocab_size: Option<usize>,
    ) -> Result<Option<ModelTokenizer>, VocabularyError> {
        let file = dir.join(FILE);
        if !file.is_file() {
            return match OTHER_FILES.into_iter().find(|name| dir.join(name).is_file()) {
                Some(found) => Err(VocabularyError::OtherFormat { dir: dir.to_owned(), found }),
                None => Ok(None),
            };
        }
        let settings = TokenizerSettings::read(dir)?;
        let json: Map<String, Value> = read_json(&file)?.unwrap_or_default();
        let text = Value::Object(json).to_string();
        let mut tokenizer = tokenizer(&text).map_err(invalid(dir))?;
        settings.apply(&mut tokenizer).map_err(invalid(dir))?;
        let vocabulary = tokenizer.get_vocab(true);
        let rows = vocab_size.unwrap_or(vocabulary.len());
        let dir = dir.to_owned();
        Ok(Some(ModelTokenizer { dir, tokenizer, settings, vocabulary, rows }))
    }

    /// The same without the tokens that have no row, so that no others get ids behind a gap.
    pub(super) fn stripped(self) -> Result<ModelTokenizer, VocabularyError> {
        let unused: Vec<String> = (self.tokens().into_iter())
            .filter(|(_, id)| !self.has_row(*id))
            .map(|(token, _)| token.to_owned())
            .collect();
        let Some(first) = unused.first() else {
            return Ok(self);
        };
        let text = self.tokenizer.to_string(false).map_err(invalid(&self.dir))?;
        let mut json: Value = serde_json::from_str(&text)
            .map_err(|source| VocabularyError::Json { path: self.dir.join(FILE), source })?;
        if let Err(kind) = without(&mut json, &unused, self.rows) {
            let (dir, token) = (self.dir, first.clone());
            return Err(VocabularyError::UnusedTokens { dir, rows: self.rows, token, kind });
        }
        let tokenizer = tokenizer(&json.to_string()).map_err(invalid(&self.dir))?;
        Ok(ModelTokenizer { vocabulary: tokenizer.get_vocab(true), tokenizer, ..self })
    }

    /// All tokens, in order of their ids.
    pub(super) fn tokens(&self) -> Vec<(&str, u32)> {
        let mut tokens: Vec<_> =
            self.vocabulary.iter().map(|(token, id)| (token.as_str(), *id)).collect();
        tokens.sort_unstable_by_key(|(token, id)| (*id, *token));
        tokens
    }

    /// Added tokens, in order of their ids.
    pub(super) fn added(&self) -> Vec<(u32, AddedToken)> {
        let mut added: Vec<_> = self.tokenizer.get_added_tokens_decoder().into_iter().collect();
        added.sort_unstable_by_key(|(id, _)| *id);
        added
    }

    pub(super) fn has_row(&self, id: u32) -> bool {
        self.row(id).is_some()
    }

    /// The row of a token in the model's embedding.
    pub(super) fn row(&self, id: u32) -> Option<usize> {
        usize::try_from(id).ok().filter(|row| *row < self.rows)
    }

    /// Adds plain tokens, which get the next ids.
    pub(super) fn add(&mut self, tokens: Vec<AddedToken>) -> Result<(), VocabularyError> {
        self.tokenizer.add_tokens(tokens).map_err(invalid(&self.dir))?;
        self.vocabulary = self.tokenizer.get_vocab(true);
        Ok(())
    }
}

/// Reads the text of a `tokenizer.json`, which must be JSON. The crate panics at some files, such as one with a
/// `Precompiled` normalizer that it cannot parse.
///
/// # Errors
/// It is no tokenizer.
pub fn tokenizer(json: &str) -> Result<Tokenizer, tokenizers::Error> {
    catch_unwind(|| Tokenizer::from_bytes(json))
        .unwrap_or_else(|_| Err("its normalizer or decoder cannot be read".into()))
}

pub(super) fn invalid(dir: &Path) -> impl Fn(tokenizers::Error) -> VocabularyError {
    |source| VocabularyError::Tokenizer { dir: dir.to_owned(), source }
}

/// Takes tokens, and the merges that need them, out of a BPE tokenizer's file; the kind of tokenizer if it is another.
fn without(json: &mut Value, unused: &[String], rows: usize) -> Result<(), String> {
    let kind = json["model"]["type"].as_str().unwrap_or("of unknown kind").to_owned();
    let Some(model) = json["model"].as_object_mut().filter(|_| kind == "BPE") else {
        return Err(kind);
    };
    let is_unused = |token: &str| unused.iter().any(|unused| unused == token);
    if let Some(vocabulary) = model.get_mut("vocab").and_then(Value::as_object_mut) {
        vocabulary.retain(|token, _| !is_unused(token));
    }
    if let Some(merges) = model.get_mut("merges").and_then(Value::as_array_mut) {
        merges.retain(|merge| {
            let Some((left, right)) = parts(merge) else { return true };
            ![left, right, &format!("{left}{right}")].into_iter().any(is_unused)
        });
    }
    if let Some(added) = json["added_tokens"].as_array_mut() {
        added.retain(|token| token["id"].as_u64().is_some_and(|id| id < rows as u64));
    }
    Ok(())
}

/// A merge is written as a pair, in older files as two words.
fn parts(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(words) => words.split_once(' '),
        pair => Some((pair[0].as_str()?, pair[1].as_str()?)),
    }
}
