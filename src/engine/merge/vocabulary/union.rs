//! The union of vocabularies: the base model's tokenizer, and behind its tokens those of the other models.
//!
//! mergekit takes models and tokens in the order of hash tables, which changes from run to run. Here the base model
//! comes first, then the models in the recipe's order, each with its tokens in order of their ids.

use std::collections::HashSet;

use tokenizers::AddedToken;

use super::VocabularyError;
use super::model_tokenizer::{ModelTokenizer, invalid};

/// Plain tokens come first, then the added ones with their settings in the first model that has them; a token of the
/// base's keeps its id in any case. `base` is an index into `models`.
pub(super) fn union(
    base: usize,
    models: &[ModelTokenizer],
) -> Result<ModelTokenizer, VocabularyError> {
    let mut union = models[base].clone();
    let in_order = || [&models[base]].into_iter().chain(models);
    let added = added_tokens(in_order());
    let is_added: HashSet<&str> = added.iter().map(|token| token.content.as_str()).collect();
    let plain = plain_tokens(&models[base], models, &is_added);
    // Saving and loading it again gives the base's tokenizer the special tokens that were stripped.
    union.settings.apply_special(&mut union.tokenizer).map_err(invalid(&union.dir))?;
    union.add(plain)?;
    union.add(added)?;
    Ok(union)
}

fn added_tokens<'a>(models: impl Iterator<Item = &'a ModelTokenizer>) -> Vec<AddedToken> {
    let mut seen = HashSet::new();
    let mut tokens = Vec::new();
    for model in models {
        for (id, token) in model.added() {
            if model.has_row(id) && seen.insert(token.content.clone()) {
                tokens.push(token);
            }
        }
    }
    tokens
}

fn plain_tokens(
    base: &ModelTokenizer,
    models: &[ModelTokenizer],
    is_added: &HashSet<&str>,
) -> Vec<AddedToken> {
    let mut seen = HashSet::new();
    let tokens = models.iter().flat_map(|model| {
        model.tokens().into_iter().filter(|(_, id)| model.has_row(*id)).map(|(token, _)| token)
    });
    tokens
        .filter(|token| !is_added.contains(token) && !base.vocabulary.contains_key(*token))
        .filter(|token| seen.insert(*token))
        .map(|token| AddedToken::from(token, false))
        .collect()
}
