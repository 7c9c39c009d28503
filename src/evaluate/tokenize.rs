//! Documents to token sequences by lm-eval's rule (`TemplateLM._encode_pair`, lm-eval 0.4).

use tokenizers::Tokenizer;

use crate::model::{LlamaConfig, Sequence};
use crate::task::{Doc, Task};
use crate::units::Split;

/// Why a document cannot be scored with this tokenizer and model.
#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    /// The tokenizer failed.
    #[error(
        "task {task}, split {split}, line {line}: the tokenizer cannot encode the document: {source}"
    )]
    Encode {
        /// Name of the task.
        task: String,
        /// Which split.
        split: Split,
        /// Line of the split's file, from 1.
        line: usize,
        /// The tokenizer's reason.
        source: tokenizers::Error,
    },
    /// Tokenizer and checkpoint do not belong together.
    #[error(
        "task {task}, split {split}, line {line}: token {token} is not below the model's vocab_size {vocab_size}"
    )]
    Vocabulary {
        /// Name of the task.
        task: String,
        /// Which split.
        split: Split,
        /// Line of the split's file, from 1.
        line: usize,
        /// The token's id.
        token: u32,
        /// Of the model.
        vocab_size: usize,
    },
    /// Nothing of the choice is left to predict.
    #[error(
        "task {task}, split {split}, line {line}: choice {choice:?} adds no token to the prompt"
    )]
    EmptyContinuation {
        /// Name of the task.
        task: String,
        /// Which split.
        split: Split,
        /// Line of the split's file, from 1.
        line: usize,
        /// The choice.
        choice: String,
    },
    /// Nothing stands before the choice, and the model names no token to stand in.
    #[error(
        "task {task}, split {split}, line {line}: the prompt has no tokens and config.json has no bos_token_id or eos_token_id"
    )]
    EmptyContext {
        /// Name of the task.
        task: String,
        /// Which split.
        split: Split,
        /// Line of the split's file, from 1.
        line: usize,
    },
    /// The document is longer than the model was made for.
    #[error(
        "task {task}, split {split}, line {line}: {tokens} tokens, but max_position_embeddings is {longest}"
    )]
    TooLong {
        /// Name of the task.
        task: String,
        /// Which split.
        split: Split,
        /// Line of the split's file, from 1.
        line: usize,
        /// Tokens the model would have to read.
        tokens: usize,
        /// What it can read.
        longest: usize,
    },
}

/// Encodes the documents of one task.
pub struct Encoder<'a> {
    pub task: &'a Task,
    pub split: Split,
    pub tokenizer: &'a Tokenizer,
    pub config: &'a LlamaConfig,
}

impl Encoder<'_> {
    /// One sequence per choice.
    pub fn encode(&self, doc: &Doc) -> Result<Vec<Sequence>, TokenizeError> {
        let context = doc.text.trim_end();
        let context_length = self.tokens(context, doc)?.len();
        doc.choices
            .iter()
            .map(|choice| {
                // Trailing blanks of the prompt go to the continuation: most tokenizers put a blank before a word.
                let whole = self.tokens(
                    &format!("{}{}{choice}", doc.text, self.task.target_delimiter),
                    doc,
                )?;
                self.sequence(whole, context_length, choice, doc)
            })
            .collect()
    }

    fn tokens(&self, text: &str, doc: &Doc) -> Result<Vec<u32>, TokenizeError> {
        match self.tokenizer.encode(text, self.task.add_bos_token) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(source) => {
                let (task, split, line) = self.place(doc);
                Err(TokenizeError::Encode {
                    task,
                    split,
                    line,
                    source,
                })
            }
        }
    }

    fn sequence(
        &self,
        mut tokens: Vec<u32>,
        context: usize,
        choice: &str,
        doc: &Doc,
    ) -> Result<Sequence, TokenizeError> {
        let (task, split, line) = self.place(doc);
        if tokens.len() <= context {
            return Err(TokenizeError::EmptyContinuation {
                task,
                split,
                line,
                choice: choice.to_owned(),
            });
        }
        let mut scored_from = context;
        if context == 0 {
            let Some(start) = self.config.bos_token_id.or(self.config.eos_token_id) else {
                return Err(TokenizeError::EmptyContext { task, split, line });
            };
            tokens.insert(0, start);
            scored_from = 1;
        }
        let vocab_size = self.config.vocab_size;
        if let Some(&token) = tokens.iter().find(|token| **token as usize >= vocab_size) {
            return Err(TokenizeError::Vocabulary {
                task,
                split,
                line,
                token,
                vocab_size,
            });
        }
        let longest = self.config.max_position_embeddings;
        if tokens.len() - 1 > longest {
            return Err(TokenizeError::TooLong {
                task,
                split,
                line,
                tokens: tokens.len() - 1,
                longest,
            });
        }
        Ok(Sequence {
            tokens,
            scored_from,
        })
    }

    fn place(&self, doc: &Doc) -> (String, Split, usize) {
        (self.task.name.clone(), self.split, doc.line)
    }
}
