use std::io;
use std::path::PathBuf;

use crate::recipe::ModelRef;

/// Why the models' vocabularies cannot be brought together as the recipe says.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// There is nothing to take a vocabulary from.
    #[error("the recipe names no model")]
    NoModels,
    /// A model of the recipe's `tokenizer` that was not given.
    #[error("`tokenizer` names `{model}`, which is not among the open checkpoints: {known}")]
    UnknownModel {
        /// The model.
        model: ModelRef,
        /// Those that are.
        known: String,
    },
    /// The model whose tokenizer the output takes has none.
    #[error("{} has no tokenizer.json, which the output's tokenizer is made of", dir.display())]
    NoTokenizer {
        /// The model's folder.
        dir: PathBuf,
    },
    /// A tokenizer of another format.
    #[error(
        "{} has {found} and no tokenizer.json; load it with transformers and save it again",
        dir.display()
    )]
    OtherFormat {
        /// The model's folder.
        dir: PathBuf,
        /// The file that is there.
        found: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of settings is not JSON of the right shape.
    #[error("{} has not the form of its kind", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A tokenizer cannot be loaded or changed.
    #[error("the tokenizer of {} is not valid", dir.display())]
    Tokenizer {
        /// The model's folder.
        dir: PathBuf,
        /// Why.
        #[source]
        source: tokenizers::Error,
    },
    /// A base model with tokens beyond its embedding, of a kind that tokens cannot be taken out of.
    #[error(
        "{} has tokens beyond its {rows} rows (`{token}`); they can be left out of a BPE tokenizer only, this is {kind}",
        dir.display()
    )]
    UnusedTokens {
        /// The model's folder.
        dir: PathBuf,
        /// `vocab_size` of its config.
        rows: usize,
        /// The first such token.
        token: String,
        /// `model.type` of tokenizer.json.
        kind: String,
    },
    /// The output's ids are not 0, 1, 2, …
    #[error(
        "the output's vocabulary has {tokens} tokens and none with id {id}; ids must have no gaps"
    )]
    Gap {
        /// The first id without a token.
        id: usize,
        /// How many tokens there are.
        tokens: usize,
    },
    /// A token that some model lacks, and that the recipe lists without a source.
    #[error(
        "`tokenizer` gives no source for token `{token}`, which not all models of `{tensor}` have"
    )]
    NoSource {
        /// The token.
        token: String,
        /// The tensor.
        tensor: String,
    },
    /// A token's source has no such token.
    #[error("the row of token `{token}` is to come from `{wanted}` of `{model}`, which has none")]
    NoToken {
        /// The output's token.
        token: String,
        /// The token looked for.
        wanted: String,
        /// The model.
        model: ModelRef,
    },
    /// A token's source does not have the tensor.
    #[error(
        "the row of token `{token}` in `{tensor}` is to come from `{model}`, which is not merged there"
    )]
    NotMerged {
        /// The token.
        token: String,
        /// The tensor.
        tensor: String,
        /// The model.
        model: ModelRef,
    },
    /// A token beyond the end of a tensor.
    #[error("token `{token}` is row {row} of `{tensor}` in `{model}`, which has {rows} rows")]
    NoRow {
        /// The token.
        token: String,
        /// The row.
        row: usize,
        /// The tensor.
        tensor: String,
        /// The model.
        model: ModelRef,
        /// How many rows it has.
        rows: usize,
    },
}
