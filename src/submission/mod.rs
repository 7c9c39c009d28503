//! From a recipe to something that can be handed in: a merged checkpoint with its recipe and model card.

pub mod competition;
mod papers;
pub mod predictions;
mod routed;
mod whole;
mod whole_file;

use std::path::{Path, PathBuf};

use crate::checkpoint::{Beside, OutputConfig, OutputTensor, WriteError, write_checkpoint};
use crate::merge::{
    MergeError, MergePlan, PlannedTensor, VocabularyError, chat_template, write_chat_template,
};
use crate::recipe::Recipe;
use crate::units::{Bytes, Dtype};

pub use papers::{
    ChoiceFacts, Effort, GeneGroup, HubLicence, Licences, ModelScores, PairedScore, RunFacts,
    SplitScores, SubmissionFacts, competition_card, model_card, report,
};
pub use routed::{PlannedMerge, RoutedFolder, write_routed};
pub use whole::require_free;
pub use whole_file::write_new;

/// Of a `config.json` whose layers are not all routed.
const DENSE_LAYERS: &str = "merge_search_dense_layers";

/// Name of the recipe beside the weights, as mergekit names it.
pub const RECIPE_FILE: &str = "mergekit_config.yml";

/// Why a checkpoint was not written.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// The recipe does not fit the checkpoints.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The vocabulary or the chat template cannot be made.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The checkpoint folder could not be written.
    #[error(transparent)]
    Write(#[from] WriteError<MergeError>),
    /// The folder has something in it.
    #[error("{} exists and is not empty", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// A file or folder beside the checkpoints could not be written.
    #[error("cannot write {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// How the output is laid out on disk, and who is told of the progress.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    /// Folder; must not exist or be empty.
    pub dir: &'a Path,
    /// Text of its README.md.
    pub card: &'a str,
    /// Largest size of a weight file.
    pub shard_size: Bytes,
    /// Called with the bytes of weights just written.
    pub progress: &'a (dyn Fn(Bytes) + Sync),
}

/// Writes the Hugging Face folder of a plan: weights (as `out_dtype` says, or else `dtype`, or else as the models store
/// them), config and tokenizer of the recipe's base (or else first) model, recipe, model card. Merged part by
/// part on rayon's threads; a folder that exists and is not empty is never touched.
///
/// # Errors
/// See [`SubmissionError`].
pub fn write_merged(
    recipe: &Recipe,
    plan: &MergePlan,
    output: &Output,
) -> Result<(), SubmissionError> {
    let tensors = output_tensors(recipe, plan);
    let template = recipe.chat_template.as_ref();
    let template = template.map(|choice| chat_template(choice, plan.folders())).transpose()?;
    let finish = |dir: &Path| write_beside(dir, recipe, plan, template.as_ref(), output.card);
    let source = plan.reference();
    let elements = |dtype: &Dtype| -> usize {
        tensors.iter().filter(|tensor| tensor.dtype == *dtype).map(OutputTensor::elements).sum()
    };
    let dtype = Dtype::ALL.into_iter().max_by_key(elements).unwrap_or(Dtype::F32);
    let config = OutputConfig {
        source,
        source_layers: plan.source_layers(),
        dtype,
        settings: &plan.settings(),
        shard_size: output.shard_size,
        progress: output.progress,
        copy_tokenizer: plan.vocabulary().is_none(),
        finish: &finish,
    };
    let prepare = |i: usize| plan.in_parts(&plan.tensors()[i]);
    Ok(write_checkpoint(output.dir, &tensors, prepare, &config)?)
}

fn write_beside(
    dir: &Path,
    recipe: &Recipe,
    plan: &MergePlan,
    template: Option<&Option<String>>,
    card: &str,
) -> Result<(), Beside> {
    if let Some(vocabulary) = plan.vocabulary() {
        vocabulary.write(dir)?;
    }
    if let Some(Some(template)) = template {
        write_chat_template(dir, template)?;
    }
    if plan.settings().contains_key(DENSE_LAYERS) {
        // No library has such a network.
        std::fs::write(dir.join("routed.py"), routed::LOADER)?;
    }
    std::fs::write(dir.join(RECIPE_FILE), recipe.to_yaml())?;
    Ok(std::fs::write(dir.join("README.md"), card)?)
}

/// Names, shapes and types of what a plan writes.
pub fn output_tensors(recipe: &Recipe, plan: &MergePlan) -> Vec<OutputTensor> {
    let stored_as = recipe.out_dtype.or(recipe.dtype);
    let output = |tensor: &PlannedTensor| OutputTensor {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        dtype: stored_as.unwrap_or_else(|| plan.stored_dtype(tensor)),
    };
    plan.tensors().iter().map(output).collect()
}
