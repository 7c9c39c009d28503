//! The output's vocabulary: mergekit's `tokenizer_source` and `tokenizer`, read and written.

use std::fmt;
use std::num::NonZeroUsize;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::write::text;
use super::{ModelRef, RecipeError};

/// Which tokens the output has, and what the rows of those are that not every model has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerChoice {
    /// Where the tokens come from.
    pub source: VocabularySource,
    /// Tokens whose rows are chosen one by one, in file order; those that the source lacks are added to it.
    pub tokens: Vec<TokenEntry>,
    /// The number of rows is rounded up to a multiple of this.
    pub pad_to_multiple_of: Option<NonZeroUsize>,
}

/// Where the output's tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VocabularySource {
    /// The base model's tokens, and behind them those that other models have.
    Union,
    /// The base model's; without one, the first model's.
    Base,
    /// The tokens of a model, which need not be one of those that are merged.
    Model(ModelRef),
}

/// One entry of `tokenizer: {tokens: ...}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEntry {
    /// The token's text in the vocabulary.
    pub token: String,
    /// The row of the models that do not have the token; `None` where all have it.
    pub source: Option<TokenSource>,
    /// Whether the models that do have it take that row as well.
    pub force: bool,
}

/// Where a token's row comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// The same token's row in a model.
    Model(ModelRef),
    /// Another token's row in a model.
    ModelToken {
        /// The model.
        model: ModelRef,
        /// Its token.
        token: TokenName,
    },
    /// A row of zeros.
    Zero,
}

/// A token of a model, by its text or its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenName {
    /// `token`.
    Text(String),
    /// `token_id`.
    Id(u32),
}

impl TokenizerChoice {
    /// The tokens of `source`, and nothing else said.
    pub fn of_source(source: VocabularySource) -> TokenizerChoice {
        TokenizerChoice { source, tokens: Vec::new(), pad_to_multiple_of: None }
    }

    /// The model whose tokenizer is taken as it is.
    pub fn model(&self) -> Option<&ModelRef> {
        match &self.source {
            VocabularySource::Model(model) => Some(model),
            VocabularySource::Union | VocabularySource::Base => None,
        }
    }
}

/// What the two keys say, of which a file has at most one.
pub(super) fn either(
    source: Option<VocabularySource>,
    choice: Option<TokenizerChoice>,
) -> Result<Option<TokenizerChoice>, RecipeError> {
    match (source, choice) {
        (Some(_), Some(_)) => Err(RecipeError::Unsupported {
            key: "tokenizer",
            instead: "`tokenizer_source` says it already",
        }),
        (source, choice) => Ok(choice.or(source.map(TokenizerChoice::of_source))),
    }
}

/// Lines of YAML; the short form where it says all.
pub(super) fn lines(choice: &TokenizerChoice) -> Vec<String> {
    let source = text(choice.source.as_str());
    if choice.tokens.is_empty() && choice.pad_to_multiple_of.is_none() {
        return vec![format!("tokenizer_source: {source}")];
    }
    let mut lines = vec!["tokenizer:".to_owned(), format!("  source: {source}")];
    if !choice.tokens.is_empty() {
        lines.push("  tokens:".to_owned());
        lines.extend(choice.tokens.iter().map(|entry| format!("    {}", line(entry))));
    }
    lines.extend(choice.pad_to_multiple_of.map(|rows| format!("  pad_to_multiple_of: {rows}")));
    lines
}

fn line(entry: &TokenEntry) -> String {
    let source = entry.source.as_ref().map(|source| format!("source: {}", flow(source)));
    let force = entry.force.then(|| "force: true".to_owned());
    let words: Vec<String> = source.into_iter().chain(force).collect();
    format!("{}: {{{}}}", text(&entry.token), words.join(", "))
}

fn flow(source: &TokenSource) -> String {
    match source {
        TokenSource::Model(model) => text(model.as_str()),
        TokenSource::ModelToken { model, token } => {
            let token = match token {
                TokenName::Text(token) => format!("token: {}", text(token)),
                TokenName::Id(id) => format!("token_id: {id}"),
            };
            format!("{{kind: model_token, model: {}, {token}}}", text(model.as_str()))
        }
        TokenSource::Zero => "{kind: zero}".to_owned(),
    }
}

impl VocabularySource {
    fn as_str(&self) -> &str {
        match self {
            VocabularySource::Union => "union",
            VocabularySource::Base => "base",
            VocabularySource::Model(model) => model.as_str(),
        }
    }
}

impl From<ModelRef> for VocabularySource {
    /// `union` and `base` are no names of models here.
    fn from(model: ModelRef) -> VocabularySource {
        match model.as_str() {
            "union" => VocabularySource::Union,
            "base" => VocabularySource::Base,
            _ => VocabularySource::Model(model),
        }
    }
}

impl<'de> Deserialize<'de> for VocabularySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<VocabularySource, D::Error> {
        ModelRef::deserialize(deserializer).map(VocabularySource::from)
    }
}

/// Far more than hardware asks for; more would only ask for memory that there is not.
const MOST_PADDING: usize = 1 << 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChoice {
    source: Option<VocabularySource>,
    tokens: Option<RawTokens>,
    pad_to_multiple_of: Option<usize>,
}

impl<'de> Deserialize<'de> for TokenizerChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TokenizerChoice, D::Error> {
        let raw = RawChoice::deserialize(deserializer)?;
        if let Some(rows) = raw.pad_to_multiple_of.filter(|rows| *rows > MOST_PADDING) {
            let valid = format!("`pad_to_multiple_of` is {rows}; valid: 0 to {MOST_PADDING}");
            return Err(D::Error::custom(valid));
        }
        Ok(TokenizerChoice {
            source: raw.source.unwrap_or(VocabularySource::Union),
            tokens: raw.tokens.map(|tokens| tokens.0).unwrap_or_default(),
            // mergekit takes 0 for "not at all".
            pad_to_multiple_of: raw.pad_to_multiple_of.and_then(NonZeroUsize::new),
        })
    }
}

/// A mapping in file order.
struct RawTokens(Vec<TokenEntry>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    source: Option<TokenSource>,
    #[serde(default)]
    force: bool,
}

impl<'de> Deserialize<'de> for RawTokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawTokens, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawTokens;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of tokens to {source, force}")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawTokens, A::Error> {
                let mut entries: Vec<TokenEntry> = Vec::new();
                while let Some(token) = map.next_key::<String>()? {
                    let RawEntry { source, force } = map.next_value()?;
                    if entries.iter().any(|entry| entry.token == token) {
                        return Err(A::Error::custom(format!("token `{token}` is listed twice")));
                    }
                    entries.push(TokenEntry { token, source, force });
                }
                Ok(RawTokens(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    kind: Kind,
    model: Option<ModelRef>,
    token: Option<String>,
    token_id: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ModelToken,
    Zero,
}

impl RawSource {
    fn check(self) -> Option<TokenSource> {
        match (self.kind, self.model, self.token, self.token_id) {
            (Kind::Zero, None, None, None) => Some(TokenSource::Zero),
            (Kind::ModelToken, Some(model), Some(token), None) => {
                Some(TokenSource::ModelToken { model, token: TokenName::Text(token) })
            }
            (Kind::ModelToken, Some(model), None, Some(id)) => {
                Some(TokenSource::ModelToken { model, token: TokenName::Id(id) })
            }
            _ => None,
        }
    }
}

const SOURCE: &str =
    "a model, {kind: zero}, or {kind: model_token, model} with exactly one of token and token_id";

impl<'de> Deserialize<'de> for TokenSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TokenSource, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = TokenSource;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(SOURCE)
            }
            fn visit_str<E: serde::de::Error>(self, model: &str) -> Result<TokenSource, E> {
                ModelRef::new(model).map(TokenSource::Model).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TokenSource, A::Error> {
                let raw = RawSource::deserialize(MapAccessDeserializer::new(map))?;
                raw.check().ok_or_else(|| A::Error::custom(format!("expected {SOURCE}")))
            }
        }
        deserializer.deserialize_any(Form)
    }
}
