//! Vocabularies that differ between the models: the output's tokens, and for each model its embedding in their order.
//!
//! [`Vocabulary::build`] reads tokenizers and settles which token has which id in the output and in each model.
//! [`Vocabulary::align`] then says, for one tensor that is indexed by tokens and the models that have it, what each of
//! its rows is before merging; [`Alignment::aligned`] gives those rows. After that all models have the same shape,
//! and every merge method applies. [`Vocabulary::write`] writes the output's tokenizer.
//!
//! The rules are mergekit 0.1.5's, with two differences: the ids of its unions depend on the order of hash tables, and it
//! stops at an output token that a model has without a row, which here is a token that the model lacks.
mod alignment;
mod chat_template;
mod error;
mod model_tokenizer;
mod settings;
mod union;
mod write;

use std::collections::HashMap;

use tokenizers::{AddedToken, Tokenizer};

use crate::checkpoint::Checkpoint;
use crate::recipe::{ModelRef, TokenEntry, TokenizerChoice, VocabularySource};

pub use alignment::{Alignment, Row, TokenAxis, TokenTensor};
pub use chat_template::{chat_template, write_chat_template};
pub use error::VocabularyError;
pub use model_tokenizer::tokenizer;

use model_tokenizer::ModelTokenizer;

/// The output's tokens and where each model has them.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// Rows of the output's embedding and head: the tokens, and the padding behind them.
    size: usize,
    /// By id.
    tokens: Vec<String>,
    /// Tokens whose rows the recipe chooses, by id.
    entries: HashMap<usize, TokenEntry>,
    models: Vec<ModelTokens>,
    output: ModelTokenizer,
}

/// A model's vocabulary beside the output's.
#[derive(Debug, Clone)]
struct ModelTokens {
    model: ModelRef,
    /// Per output token the model's row of it; `None` where it has none.
    rows: Vec<Option<usize>>,
    /// All tokens of the model, for looking up only.
    vocabulary: HashMap<String, u32>,
}

impl Vocabulary {
    /// Reads the models' tokenizers and settles the output's vocabulary.
    ///
    /// `models` are the open checkpoints of the models that are merged, in the recipe's order, and that of the model
    /// whose tokenizer is taken ([`TokenizerChoice::model`]), last where it is not merged. Without `base` the first
    /// model stands in for it. A model without tokenizer is taken to have the base's. Tokens with an id of at least
    /// the `vocab_size` of the model's config have no row and count as missing in that model.
    ///
    /// # Errors
    /// See [`VocabularyError`]; a base without tokenizer; ids of the output that have gaps.
    pub fn build(
        choice: &TokenizerChoice,
        base: Option<&ModelRef>,
        models: &[(ModelRef, &Checkpoint)],
    ) -> Result<Vocabulary, VocabularyError> {
        let base = base.map_or(Ok(0), |base| position(base, models))?;
        let mut own = tokenizers(base, models)?;
        let mut output = match &choice.source {
            VocabularySource::Base => own[base].clone(),
            VocabularySource::Union => union::union(base, &own)?,
            VocabularySource::Model(model) => required(models[position(model, models)?].1)?,
        };
        output.add(new_tokens(choice, &output))?;
        if choice.source == VocabularySource::Base {
            // What is added to the base's tokenizer is the base's: a padding row of its embedding is that token's row.
            own[base] = ModelTokenizer { rows: own[base].rows, ..output.clone() };
        }
        let tokens = by_id(&output)?;
        let models = models.iter().zip(own);
        let models =
            models.map(|((model, _), own)| ModelTokens::new(model, own, &tokens)).collect();
        let step = choice.pad_to_multiple_of.map_or(1, |rows| rows.get());
        let size = tokens.len().next_multiple_of(step);
        let entries = entries(choice, &output);
        Ok(Vocabulary { size, tokens, entries, models, output })
    }

    /// Rows of the output's embedding and head, and `vocab_size` of its config.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The output's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.output.tokenizer
    }

    /// The output's tokens, by id; rows from here to [`Vocabulary::size`] are padding.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

impl ModelTokens {
    fn new(model: &ModelRef, own: ModelTokenizer, tokens: &[String]) -> ModelTokens {
        let row = |token: &String| own.row(*own.vocabulary.get(token)?);
        let rows = tokens.iter().map(row).collect();
        ModelTokens { model: model.clone(), rows, vocabulary: own.vocabulary }
    }
}

/// The models' tokenizers, the base's without tokens that have no row, and the base's for those that have none.
fn tokenizers(
    base: usize,
    models: &[(ModelRef, &Checkpoint)],
) -> Result<Vec<ModelTokenizer>, VocabularyError> {
    let (_, checkpoint) = models.get(base).ok_or(VocabularyError::NoModels)?;
    let of_base = required(checkpoint)?.stripped()?;
    let own = |(i, (_, checkpoint)): (usize, &(ModelRef, &Checkpoint))| {
        let own = if i == base { None } else { read(checkpoint)? };
        Ok(own.unwrap_or_else(|| {
            let rows = vocab_size(checkpoint).unwrap_or(of_base.rows);
            ModelTokenizer { rows, ..of_base.clone() }
        }))
    };
    models.iter().enumerate().map(own).collect()
}

fn position(
    model: &ModelRef,
    models: &[(ModelRef, &Checkpoint)],
) -> Result<usize, VocabularyError> {
    models.iter().position(|(open, _)| open == model).ok_or_else(|| {
        let known: Vec<&str> = models.iter().map(|(model, _)| model.as_str()).collect();
        VocabularyError::UnknownModel { model: model.clone(), known: known.join(", ") }
    })
}

fn read(checkpoint: &Checkpoint) -> Result<Option<ModelTokenizer>, VocabularyError> {
    ModelTokenizer::read(checkpoint.dir(), vocab_size(checkpoint))
}

fn required(checkpoint: &Checkpoint) -> Result<ModelTokenizer, VocabularyError> {
    let dir = || checkpoint.dir().to_owned();
    read(checkpoint)?.ok_or_else(|| VocabularyError::NoTokenizer { dir: dir() })
}

/// From `config.json`; models with several parts have it in the text model's.
fn vocab_size(checkpoint: &Checkpoint) -> Option<usize> {
    let config = checkpoint.config();
    let size = config.get("vocab_size").or_else(|| config.get("text_config")?.get("vocab_size"));
    usize::try_from(size?.as_u64()?).ok()
}

fn new_tokens(choice: &TokenizerChoice, output: &ModelTokenizer) -> Vec<AddedToken> {
    let is_new = |entry: &&TokenEntry| !output.vocabulary.contains_key(&entry.token);
    let new = choice.tokens.iter().filter(is_new);
    new.map(|entry| AddedToken::from(entry.token.as_str(), false)).collect()
}

fn by_id(output: &ModelTokenizer) -> Result<Vec<String>, VocabularyError> {
    let tokens = output.tokens();
    let gap = tokens.iter().enumerate().find(|(i, (_, id))| u32::try_from(*i) != Ok(*id));
    match gap {
        Some((id, _)) => Err(VocabularyError::Gap { id, tokens: tokens.len() }),
        None => Ok(tokens.into_iter().map(|(token, _)| token.to_owned()).collect()),
    }
}

fn entries(choice: &TokenizerChoice, output: &ModelTokenizer) -> HashMap<usize, TokenEntry> {
    let id = |token: &str| usize::try_from(*output.vocabulary.get(token)?).ok();
    let with_id = |entry: &TokenEntry| Some((id(&entry.token)?, entry.clone()));
    choice.tokens.iter().filter_map(with_id).collect()
}
