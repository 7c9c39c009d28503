//! The models of a search: found, opened, and checked to be of one kind.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer;

use super::SetError;
use super::load::{LoadError, network_spec};
use crate::checkpoint::{Adapter, AdapterError, Checkpoint, CheckpointError};
use crate::hub::{Hub, HubError};
use crate::model::spec::NetworkSpec;
use crate::recipe::ModelRef;
use crate::task::{ChatError, Place, Task, TaskError};
use crate::units::Bytes;

/// Fields of `config.json` that say what tokens are called and how many there are, not what is computed with them.
const NOT_COMPUTED: [&str; 9] = [
    "bos_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "pad_token_id",
    "vocab_size",
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "seq_length",
];

/// Why an evaluator could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A model could not be found.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A checkpoint cannot be used, or does not fit the base model.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A LoRA adapter cannot be used, or does not fit its base model.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// An adapter where a model belongs.
    #[error(
        "{model} is a LoRA adapter; write the model that it belongs on before it: `MODEL+{model}`"
    )]
    IsAdapter { model: ModelRef },
    /// A task cannot be used.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Two task folders give the same name.
    #[error("two tasks are called `{task}`; each needs a name of its own in its task.toml")]
    TaskTwice { task: String },
    /// An expert's config.json says that its weights are to be used in another way than the base model's.
    #[error("{}: `{field}` is {found}, the base model's is {expected}; such weights cannot be merged", file.display())]
    ConfigDiffers { file: PathBuf, field: String, found: String, expected: String },
    /// Prompts of a task that there is not.
    #[error("prompts are given for a task `{name}`; the tasks are {}", tasks.join(", "))]
    NoSuchTask { name: String, tasks: Vec<String> },
    /// A task's prompts are chats, and the model does not say how it writes one.
    #[error(
        "task {task}: `apply_chat_template` is true, but {} has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json)", folder.display()
    )]
    NoChatTemplate { task: String, folder: PathBuf },
    /// A chat template cannot be used.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// A document that can be answered but not judged.
    #[error(
        "task {task}, {place}: the right answer is not given, so that nothing can be searched for"
    )]
    Unanswered { task: String, place: Place },
    /// No usable tokenizer beside the base model.
    #[error("cannot read tokenizer {}: {reason}", file.display())]
    Tokenizer { file: PathBuf, reason: String },
    /// A document does not fit the model, or not into memory.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The base model cannot be built from its files.
    #[error("cannot build the base model {}", folder.display())]
    Base {
        folder: PathBuf,
        #[source]
        source: Box<LoadError>,
    },
    /// An expert's config cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Too little memory for the number of threads.
    #[error("{workers} workers need about {needed}, and {available} are available")]
    Memory { workers: usize, needed: Bytes, available: Bytes },
    /// Nothing to merge.
    #[error("no models: give the base model and its experts")]
    NoModels,
}

/// Opens one model of a recipe: a folder, or a hub id through its cache, with its adapter if it has one.
///
/// # Errors
/// The model is nowhere, or its files cannot be used.
pub fn open_checkpoint(model: &ModelRef, hub: &Hub) -> Result<Checkpoint, OpenError> {
    let folder = hub.folder(model.path(), model.revision())?;
    if Adapter::is_adapter(&folder) {
        return Err(OpenError::IsAdapter { model: model.clone() });
    }
    let checkpoint = Checkpoint::open(&folder)?;
    let Some(lora) = model.lora() else {
        return Ok(checkpoint);
    };
    let (path, revision) = lora.split_once('@').map_or((lora, None), |(p, r)| (p, Some(r)));
    let adapter = Adapter::open(&hub.folder(path, revision)?)?;
    Ok(checkpoint.with_adapter(&adapter)?)
}

/// The tokenizer beside a checkpoint.
///
/// # Errors
/// [`OpenError::Tokenizer`].
pub fn open_tokenizer(folder: &Path) -> Result<Tokenizer, OpenError> {
    let file = folder.join("tokenizer.json");
    let read = || -> Result<Tokenizer, Box<dyn std::error::Error + Send + Sync>> {
        let json: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        crate::merge::tokenizer(&json.to_string())
    };
    let tokenizer = read()
        .map_err(|error| OpenError::Tokenizer { file: file.clone(), reason: error.to_string() })?;
    Ok(whole_texts(tokenizer))
}

/// Without the truncation and padding that a `tokenizer.json` may ask for: transformers too applies them only when called
/// with them, and both would change what is scored.
pub(super) fn whole_texts(mut tokenizer: Tokenizer) -> Tokenizer {
    tokenizer.with_padding(None);
    // Only setting a truncation can fail.
    let _unset = tokenizer.with_truncation(None).is_ok();
    tokenizer
}

/// Checks that experts have the base model's shapes, finite weights and the settings that change what weights compute.
pub(super) fn open_checkpoints(
    models: &[ModelRef],
    hub: &Hub,
) -> Result<Vec<(ModelRef, Checkpoint)>, OpenError> {
    let mut open: Vec<(ModelRef, Checkpoint)> = Vec::new();
    for model in models {
        let checkpoint = open_checkpoint(model, hub)?;
        if let Some((_, base)) = open.first() {
            base.require_same_shapes(&checkpoint)?;
        }
        checkpoint.require_finite()?;
        open.push((model.clone(), checkpoint));
    }
    Ok(open)
}

/// The settings that change what the same weights compute.
pub(super) fn require_same_config(
    base: &NetworkSpec,
    expert: &Checkpoint,
) -> Result<(), OpenError> {
    let own = network_spec(expert)?;
    let mut fields: Vec<&String> = base.settings.keys().chain(own.settings.keys()).collect();
    fields.retain(|field| !NOT_COMPUTED.contains(&field.as_str()));
    let differs = |field: &&&String| !same(own.settings.get(**field), base.settings.get(**field));
    let said = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
    match fields.iter().find(differs) {
        None => Ok(()),
        Some(field) => Err(OpenError::ConfigDiffers {
            file: expert.dir().join("config.json"),
            field: (*field).clone(),
            found: said(own.settings.get(*field)),
            expected: said(base.settings.get(*field)),
        }),
    }
}

/// 10000 and 10000.0 are the same setting.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    a == b || (number(a).is_some() && number(a) == number(b))
}

/// Checks that every task has a name of its own.
///
/// # Errors
/// [`OpenError::TaskTwice`].
pub fn check_names(tasks: &[Task]) -> Result<(), OpenError> {
    for (i, task) in tasks.iter().enumerate() {
        if tasks[..i].iter().any(|other| other.name == task.name) {
            return Err(OpenError::TaskTwice { task: task.name.clone() });
        }
    }
    Ok(())
}
