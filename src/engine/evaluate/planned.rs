//! Recipes to plans: those with routed layers need the base model's reading of their prompts.

use std::sync::{Arc, Mutex, PoisonError};

use super::load::{LoadError, load_network};
use super::token_gates::{GateError, Reader};
use super::{OpenError, Pool, TaskTokenizer, ready_tasks};
use crate::checkpoint::Checkpoint;
use crate::merge::{LayerGates, MergeError, MergePlan, Prototype, reference, token_router};
use crate::model::{Network, Precision};
use crate::recipe::{GateMode, ModelRef, Prompts, Recipe, TokenExpert, TokenRouter};
use crate::task::Task;

/// Why a recipe cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It does not fit the checkpoints.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// Its prompts give no gates.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The model that reads the prompts has no tokenizer, or no chat template.
    #[error(transparent)]
    Open(#[from] Box<OpenError>),
    /// The model that reads the prompts cannot be built.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Works out any recipe that is one merge; where layers are routed, the recipe's base model (or else its first) reads the
/// experts' prompts for that in f32. `tasks` are those whose prompts a recipe may name.
///
/// # Errors
/// See [`PlanError`].
pub fn plan_merge<'a>(
    recipe: &Recipe,
    models: &[(ModelRef, &'a Checkpoint)],
    tasks: &[Task],
    pool: &Pool,
) -> Result<MergePlan<'a>, PlanError> {
    TokenGates::default().plan(recipe, models, tasks, pool, |_| None)
}

/// Prototypes of experts that came up before: routers that differ in layers, numbers or temperature cost no reading.
#[derive(Default)]
pub(super) struct TokenGates(Mutex<Vec<(Key, Arc<Prototype>)>>);

/// Who reads what, and what is looked at.
#[derive(Clone, PartialEq)]
struct Key {
    model: ModelRef,
    mode: GateMode,
    prompts: Prompts,
}

impl TokenGates {
    /// See [`plan_merge`]. `own` gives whoever reads as a model of the recipe in f32, if there is somebody already.
    pub fn plan<'a, 'r>(
        &self,
        recipe: &Recipe,
        models: &[(ModelRef, &'a Checkpoint)],
        tasks: &[Task],
        pool: &Pool,
        own: impl Fn(&ModelRef) -> Option<Reader<'r>>,
    ) -> Result<MergePlan<'a>, PlanError> {
        let router = token_router(recipe).filter(|_| recipe.document_router.is_none());
        let (Some(router), Some(model)) = (router, reference(recipe)) else {
            return Ok(pool.install(|| MergePlan::new(recipe, models))?);
        };
        let keys: Vec<Key> = router.experts.iter().map(|it| Key::new(model, router, it)).collect();
        // Held while prompts are read, so that no two candidates read the same.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.iter().any(|key| find(&known, key).is_none()) {
            match own(model) {
                Some(reader) => add(&mut known, &keys, &reader)?,
                None => {
                    let loaded = Loaded::open(model, models, tasks, router, pool)?;
                    add(&mut known, &keys, &loaded.reader(pool))?;
                }
            }
        }
        let prototypes: Vec<Arc<Prototype>> =
            keys.iter().filter_map(|key| find(&known, key)).collect();
        drop(known);
        let gates = LayerGates::new(&prototypes.iter().map(Arc::as_ref).collect::<Vec<_>>())?;
        Ok(pool.install(|| MergePlan::with_gates(recipe, models, &gates))?)
    }
}

impl Key {
    fn new(model: &ModelRef, router: &TokenRouter, expert: &TokenExpert) -> Key {
        let prompts = expert.positive_prompts.clone();
        Key { model: model.clone(), mode: router.gate_mode, prompts }
    }
}

fn find(known: &[(Key, Arc<Prototype>)], key: &Key) -> Option<Arc<Prototype>> {
    known.iter().find(|(own, _)| own == key).map(|(_, prototype)| Arc::clone(prototype))
}

/// Reads the prompts that nobody has read.
fn add(
    known: &mut Vec<(Key, Arc<Prototype>)>,
    keys: &[Key],
    reader: &Reader,
) -> Result<(), GateError> {
    for key in keys {
        if find(known, key).is_none() {
            let prototype = reader.prototype(key.mode, &key.prompts)?;
            known.push((key.clone(), Arc::new(prototype)));
        }
    }
    Ok(())
}

/// A model that is in memory only while it reads.
struct Loaded {
    network: Network,
    tokenizer: TaskTokenizer,
    tasks: Vec<Task>,
}

impl Loaded {
    fn open(
        model: &ModelRef,
        models: &[(ModelRef, &Checkpoint)],
        tasks: &[Task],
        router: &TokenRouter,
        pool: &Pool,
    ) -> Result<Loaded, PlanError> {
        let Some((_, checkpoint)) = models.iter().find(|(name, _)| name == model) else {
            let known = models.iter().map(|(known, _)| known.as_str()).collect::<Vec<_>>();
            return Err(
                MergeError::UnknownModel { model: model.clone(), known: known.join(", ") }.into()
            );
        };
        let named = |task: &&Task| {
            let names =
                |prompts: &Prompts| matches!(prompts, Prompts::Task(name) if *name == task.name);
            router.experts.iter().any(|expert| names(&expert.positive_prompts))
        };
        let tasks: Vec<Task> = tasks.iter().filter(named).cloned().collect();
        Ok(Loaded {
            tasks: ready_tasks(&tasks, checkpoint.dir()).map_err(Box::new)?,
            tokenizer: TaskTokenizer::open(checkpoint.dir()).map_err(Box::new)?,
            network: pool.install(|| load_network(checkpoint, Precision::F32))?,
        })
    }

    fn reader<'r>(&'r self, pool: &'r Pool) -> Reader<'r> {
        Reader { network: &self.network, tokenizer: &self.tokenizer, tasks: &self.tasks, pool }
    }
}
