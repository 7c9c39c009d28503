//! Tasks: a question with fixed answers, in three splits of documents.
//!
//! A task is a folder with a `task.toml` in lm-eval's words and one JSON-lines file per split. What is read here is text;
//! tokens, models and scores are [`crate::evaluate`]'s.

mod definition;
mod documents;
mod error;
pub mod split;

use std::path::Path;

use crate::units::Split;

pub use definition::Metric;
pub use error::TaskError;

/// One checked task.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Unique among the tasks of a search.
    pub name: String,
    /// Free text.
    pub description: String,
    /// How the answer is chosen.
    pub metric: Metric,
    /// Between prompt and answer.
    pub target_delimiter: String,
    /// Whether the tokenizer adds its special tokens in front (lm-eval's word).
    pub add_bos_token: bool,
    /// Licence of the documents, as an SPDX expression.
    pub license: Option<String>,
    /// SHA-256, in hexadecimal, of `task.toml` and the three split files.
    pub digest: String,
    documents: [Vec<Doc>; 3],
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doc {
    /// The rendered prompt.
    pub text: String,
    /// Two or more different answers, as scored after the delimiter.
    pub choices: Vec<String>,
    /// Index of the right answer.
    pub target: usize,
    /// Line of the split's file, counted from 1.
    pub line: usize,
}

impl Task {
    /// Reads `<folder>/task.toml` and the files that it names.
    pub fn load(folder: &Path) -> Result<Task, TaskError> {
        let (definition, mut digest) = definition::read(&folder.join("task.toml"))?;
        let template = documents::Template::new(&definition)?;
        let mut splits = Vec::with_capacity(Split::ALL.len());
        for split in Split::ALL {
            splits.push(documents::read(
                &folder.join(definition.splits.file(split)),
                &definition,
                &template,
                &mut digest,
            )?);
        }
        documents::check_disjoint(&definition.path, &splits)?;
        let [search, selection, holdout] = <[Vec<Doc>; 3]>::try_from(splits).unwrap_or_default();
        Ok(Task {
            name: definition.task,
            description: definition.description,
            metric: definition.metric,
            target_delimiter: definition.target_delimiter,
            add_bos_token: definition.add_bos_token,
            license: definition.license,
            digest: digest.hexadecimal(),
            documents: [search, selection, holdout],
        })
    }

    /// The documents of a split, in the file's order; never empty.
    pub fn docs(&self, split: Split) -> &[Doc] {
        &self.documents[split as usize]
    }
}
