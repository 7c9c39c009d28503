//! The evaluator that does the work: merges in memory, runs the model with candle, scores every document.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tokenizers::Tokenizer;

use super::resident::{Resident, ResidentError, Residents, require_shape};
use super::{EvaluateError, Evaluator, ScoreError, ScoringSet, TokenizeError, memory};
use crate::checkpoint::{
    Adapter, AdapterError, Architecture, Checkpoint, CheckpointError, Hub, HubError,
};
use crate::merge::{MergeError, MergePlan, Prepared, Vocabulary};
use crate::model::{ConfigError, Llama, LlamaConfig, LoadError, Scratch, TokenForest};
use crate::outcome::{Evaluation, Outcome};
use crate::recipe::{MergeMethod, ModelRef, Recipe};
use crate::task::{Task, TaskError};
use crate::units::{Bytes, Seconds, Split};

/// Holds the checkpoints of one search, its documents as tokens, and the base model as the clock's reference.
pub struct CandleEvaluator {
    models: Vec<(ModelRef, Checkpoint)>,
    config: LlamaConfig,
    sets: [ScoringSet; 3],
    base: Llama,
    residents: Residents,
}

/// Whose fault it is that a recipe has no score.
enum Fault {
    /// This candidate's; the next one may be fine.
    Candidate(String),
    /// Every later recipe would meet it too.
    Machine(CheckpointError),
}

impl From<MergeError> for Fault {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::Checkpoint(
                error @ (CheckpointError::ShapesDiffer { .. } | CheckpointError::NoTensor { .. }),
            ) => Fault::Candidate(error.to_string()),
            MergeError::Checkpoint(error) => Fault::Machine(error),
            other => Fault::Candidate(other.to_string()),
        }
    }
}

impl From<ResidentError> for Fault {
    fn from(error: ResidentError) -> Self {
        match error {
            ResidentError::Merge(error) => error.into(),
            other => Fault::Candidate(other.to_string()),
        }
    }
}

impl From<ScoreError> for Fault {
    fn from(error: ScoreError) -> Self {
        Fault::Candidate(error.to_string())
    }
}

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
    /// The base model's config.json has something this program does not compute.
    #[error("{}", file.display())]
    Config {
        file: PathBuf,
        #[source]
        source: Box<ConfigError>,
    },
    /// An expert's config.json says that its weights are to be used in another way than the base model's.
    #[error("{}: `{field}` is {found}, the base model's is {expected}; such weights cannot be merged", file.display())]
    ConfigDiffers { file: PathBuf, field: &'static str, found: String, expected: String },
    /// No usable tokenizer beside the base model.
    #[error("cannot read tokenizer {}: {reason}", file.display())]
    Tokenizer { file: PathBuf, reason: String },
    /// A document does not fit the model.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// The base model cannot be built from its tensors.
    #[error("cannot build the base model {}: {reason}", folder.display())]
    Base { folder: PathBuf, reason: String },
    /// Too little memory for the number of workers.
    #[error("{workers} workers need about {needed}, and {available} are available")]
    Memory { workers: usize, needed: Bytes, available: Bytes },
}

impl CandleEvaluator {
    /// Opens and checks the models (base first), and tokenizes the documents with the base model's tokenizer.
    /// `docs` limits the documents per task, by split in [`Split::ALL`]'s order.
    ///
    /// # Errors
    /// See [`OpenError`]: every checkpoint must have the base model's tensors and finite weights.
    pub fn open(
        models: &[ModelRef],
        hub: &Hub,
        tasks: &[Task],
        docs: [Option<usize>; 3],
    ) -> Result<Self, OpenError> {
        let models = open_checkpoints(models, hub)?;
        let base = &models[0].1;
        let file = base.dir().join("config.json");
        let config = LlamaConfig::from_json(base.config())
            .map_err(|source| OpenError::Config { file, source: Box::new(source) })?;
        for (_, expert) in &models[1..] {
            require_same_config(&config, expert)?;
        }
        let tokenizer = tokenizer(base.dir())?;
        check_names(tasks)?;
        let set =
            |split: Split| ScoringSet::new(tasks, split, docs[split as usize], &tokenizer, &config);
        let sets = [set(Split::Search)?, set(Split::Selection)?, set(Split::Holdout)?];
        let base = load_base(base, &config)?;
        Ok(Self { models, config, sets, base, residents: Residents::default() })
    }

    /// The open checkpoints, base first.
    pub fn checkpoints(&self) -> impl Iterator<Item = &Checkpoint> {
        self.models.iter().map(|(_, checkpoint)| checkpoint)
    }

    /// Folders of the experts whose tokenizer has another vocabulary than the base model's, with which all are scored.
    pub fn other_tokenizers(&self) -> Vec<&Path> {
        let vocabulary = |checkpoint: &Checkpoint| -> Option<serde_json::Value> {
            let text = std::fs::read(checkpoint.dir().join("tokenizer.json")).ok()?;
            let mut json: serde_json::Value = serde_json::from_slice(&text).ok()?;
            Some(serde_json::json!([json["model"].take(), json["added_tokens"].take()]))
        };
        let base = vocabulary(&self.models[0].1);
        let differs = |checkpoint: &&Checkpoint| {
            let own = vocabulary(checkpoint);
            own.is_some() && own != base
        };
        self.checkpoints().skip(1).filter(differs).map(Checkpoint::dir).collect()
    }

    /// How the base model's tensors are laid out.
    pub fn architecture(&self) -> &Architecture {
        self.models[0].1.architecture()
    }

    /// Layers of the base model.
    pub fn layers(&self) -> usize {
        self.models[0].1.layers()
    }

    /// Checks that `workers` candidates fit into memory side by side.
    /// `methods` are those of the space: some keep the ranks of every expert's elements.
    ///
    /// # Errors
    /// [`OpenError::Memory`] when they do not.
    pub fn require_memory(&self, workers: usize, methods: &[MergeMethod]) -> Result<(), OpenError> {
        let needed = self.memory_needed(workers, methods);
        match memory::available() {
            Some(available) if available < needed => {
                Err(OpenError::Memory { workers, needed, available })
            }
            _ => Ok(()),
        }
    }

    /// A merged model and the activations of the largest pack per worker, the base model, and two bytes for each of the
    /// experts' elements per method that goes by their ranks. The experts themselves are mapped.
    fn memory_needed(&self, workers: usize, methods: &[MergeMethod]) -> Bytes {
        let base = &self.models[0].1;
        let weights: usize = base.tensors().map(|(_, shape)| shape.elements()).sum();
        let tokens = self.sets.iter().map(ScoringSet::largest_pack).max().unwrap_or(0);
        // Residual stream, norms, queries, keys, values and their products; gate, up and their product; logits.
        let per_token = 10 * self.config.hidden_size + 4 * self.config.intermediate_size;
        let logits = 2 * (64 * self.config.vocab_size).max(1 << 20);
        let ranks = 2 * Prepared::orders(methods) * weights * (self.models.len() - 1);
        let merged = 4 * (workers + 1) * weights;
        Bytes((merged + ranks + 4 * workers * (tokens * per_token + logits)) as u64)
    }

    fn set(&self, split: Split) -> &ScoringSet {
        &self.sets[split as usize]
    }

    fn merge(&self, recipe: &Recipe) -> Result<Resident, Fault> {
        let models: Vec<(ModelRef, &Checkpoint)> =
            self.models.iter().map(|(name, checkpoint)| (name.clone(), checkpoint)).collect();
        let plan = MergePlan::new(recipe, &models)?;
        let layers = plan.source_layers().first().map_or(0, Vec::len);
        let vocab_size = plan.vocabulary().map_or(self.config.vocab_size, Vocabulary::size);
        let config = LlamaConfig { num_hidden_layers: layers, vocab_size, ..self.config.clone() };
        Ok(self.residents.merge(&plan, &config)?)
    }

    /// Time of a fixed block of documents on `model` relative to the base model, pack by pack in turns, so that a
    /// machine that gets busier slows both.
    fn relative_time(&self, model: &Llama, set: &ScoringSet) -> Result<f64, ScoreError> {
        let mut scratch = Scratch::new()?;
        let mut time = |model: &Llama, forest: &TokenForest| -> Result<f64, ScoreError> {
            let start = Instant::now();
            model.log_probabilities(forest, &mut scratch)?;
            Ok(start.elapsed().as_secs_f64())
        };
        let (mut ours, mut base) = (0.0, 0.0);
        for (turn, pack) in set.timing_packs().into_iter().enumerate() {
            if turn == 0 {
                // Untimed: the first pass of all grows the buffers.
                time(&self.base, &pack.forest)?;
            }
            // Whoever runs second finds the documents in the cache: each goes first every other time.
            if turn % 2 == 0 {
                base += time(&self.base, &pack.forest)?;
                ours += time(model, &pack.forest)?;
            } else {
                ours += time(model, &pack.forest)?;
                base += time(&self.base, &pack.forest)?;
            }
        }
        Ok(ours / base)
    }

    fn measure(&self, recipe: &Recipe, split: Split) -> Result<Evaluation, Fault> {
        let set = self.set(split);
        let start = Instant::now();
        let resident = self.merge(recipe)?;
        let merged = Instant::now();
        let scores = set.score(&resident.model);
        let scored = merged.elapsed().as_secs_f64();
        let relative_time = self.relative_time(&resident.model, set);
        self.residents.give_back(resident);
        let (tasks, relative_time) = (scores?, relative_time?);
        let items: usize = tasks.iter().map(|task| task.items.len()).sum();
        Ok(Evaluation {
            tasks,
            merge_seconds: Seconds((merged - start).as_secs_f64()),
            score_seconds: Seconds(scored),
            seconds_per_item: Seconds(scored / items as f64),
            relative_time,
            peak_bytes: memory::peak(),
        })
    }
}

impl Evaluator for CandleEvaluator {
    fn evaluate(&self, recipe: &Recipe, split: Split) -> Result<Outcome, EvaluateError> {
        match self.measure(recipe, split) {
            Ok(evaluation) => Ok(Outcome::Feasible(evaluation)),
            Err(Fault::Candidate(reason)) => Ok(Outcome::Infeasible { reason }),
            Err(Fault::Machine(error)) => Err(error.into()),
        }
    }

    fn items(&self, split: Split) -> usize {
        self.set(split).docs()
    }
}

fn open_checkpoints(
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

/// The settings that change what the same weights compute.
fn require_same_config(base: &LlamaConfig, expert: &Checkpoint) -> Result<(), OpenError> {
    let file = expert.dir().join("config.json");
    let own = LlamaConfig::from_json(expert.config())
        .map_err(|source| OpenError::Config { file: file.clone(), source: Box::new(source) })?;
    let fields = [
        ("num_attention_heads", own.num_attention_heads as f64, base.num_attention_heads as f64),
        ("num_key_value_heads", own.num_key_value_heads as f64, base.num_key_value_heads as f64),
        ("head_dim", own.head_dim as f64, base.head_dim as f64),
        ("num_hidden_layers", own.num_hidden_layers as f64, base.num_hidden_layers as f64),
        ("rope_theta", own.rope_theta, base.rope_theta),
        ("rms_norm_eps", own.rms_norm_eps, base.rms_norm_eps),
    ];
    match fields.into_iter().find(|(_, own, base)| own != base) {
        None => Ok(()),
        Some((field, found, expected)) => Err(OpenError::ConfigDiffers {
            file,
            field,
            found: found.to_string(),
            expected: expected.to_string(),
        }),
    }
}

fn tokenizer(folder: &Path) -> Result<Tokenizer, OpenError> {
    let file = folder.join("tokenizer.json");
    let read = || -> Result<Tokenizer, Box<dyn std::error::Error + Send + Sync>> {
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        crate::merge::tokenizer(&json.to_string())
    };
    read().map_err(|error| OpenError::Tokenizer { file: file.clone(), reason: error.to_string() })
}

fn check_names(tasks: &[Task]) -> Result<(), OpenError> {
    for (i, task) in tasks.iter().enumerate() {
        if tasks[..i].iter().any(|other| other.name == task.name) {
            return Err(OpenError::TaskTwice { task: task.name.clone() });
        }
    }
    Ok(())
}

fn load_base(checkpoint: &Checkpoint, config: &LlamaConfig) -> Result<Llama, OpenError> {
    let folder = checkpoint.dir().to_owned();
    load_checkpoint(checkpoint, config).map_err(|reason| OpenError::Base { folder, reason })
}

/// A checkpoint as it is, ready to score.
pub(super) fn load_checkpoint(
    checkpoint: &Checkpoint,
    config: &LlamaConfig,
) -> Result<Llama, String> {
    let mut fault = None;
    let model = Llama::new(config, |name, shape, out| {
        let missing = || LoadError::Missing { name: name.to_owned() };
        let stored = checkpoint.shape(name).ok_or_else(missing)?;
        require_shape(name, shape, &stored.shape)?;
        match checkpoint.elements(name) {
            Ok(elements) => elements.read(0, out),
            Err(error) => fault = Some(error.to_string()),
        }
        Ok(())
    });
    match fault {
        Some(fault) => Err(fault),
        None => model.map_err(|error| error.to_string()),
    }
}
