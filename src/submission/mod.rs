//! From a recipe to something that can be handed in: a merged checkpoint with its recipe and model card.

mod card;

use std::path::{Path, PathBuf};

use crate::checkpoint::{Checkpoint, Dtype, OutputConfig, WriteError, write_checkpoint};
use crate::merge::{MergeError, MergePlan, stored_dtype};
use crate::recipe::{ModelRef, Recipe};

pub use card::{CardScore, model_card};

/// Name of the recipe beside the weights, as mergekit names it.
pub const RECIPE_FILE: &str = "mergekit_config.yml";

/// Why a checkpoint was not written.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// The recipe does not fit the checkpoints.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The checkpoint folder could not be written.
    #[error(transparent)]
    Write(#[from] WriteError<MergeError>),
    /// The recipe or the card could not be written beside the weights.
    #[error("cannot write {}", file.display())]
    Beside {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Merges `recipe` and writes a Hugging Face folder: weights (in the recipe's dtype, or else the type most of the first
/// model's weights have), config and tokenizer of the recipe's base (or else first) model, recipe, model card. One
/// tensor is in memory at a time; a folder that exists and is not empty is never touched.
///
/// # Errors
/// See [`SubmissionError`].
pub fn write_merged(
    recipe: &Recipe,
    models: &[(ModelRef, &Checkpoint)],
    dir: &Path,
    card: &str,
) -> Result<(), SubmissionError> {
    let plan = MergePlan::new(recipe, models)?;
    let source = source_model(recipe, models);
    let dtype = stored_dtype(recipe).or(source.dtype()).unwrap_or(Dtype::F32);
    let config = OutputConfig { source, source_layers: plan.source_layers(), dtype };
    write_checkpoint(dir, &plan.shapes(), |i| plan.merge(&plan.tensors()[i]), &config)?;
    write_beside(dir, RECIPE_FILE, &recipe.to_yaml())?;
    write_beside(dir, "README.md", card)
}

/// Whose config and tokenizer the output takes; a plan exists, so `models` has every model of the recipe.
fn source_model<'a>(recipe: &Recipe, models: &[(ModelRef, &'a Checkpoint)]) -> &'a Checkpoint {
    let named = recipe.base_model.as_ref().or(recipe.models().first().copied());
    let found = models.iter().find(|(name, _)| Some(name) == named);
    found.unwrap_or(&models[0]).1
}

fn write_beside(dir: &Path, name: &str, text: &str) -> Result<(), SubmissionError> {
    let file = dir.join(name);
    std::fs::write(&file, text).map_err(|source| SubmissionError::Beside { file, source })
}
