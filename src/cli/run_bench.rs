//! What a recipe with routers needs of its run besides weights: the documents that its gates are made of.

use merge_search::merge::token_router;
use merge_search::recipe::{Gate, ModelRef, Prompts, Recipe};
use merge_search::record::RunFolder;
use merge_search::task::Task;
use serde_json::Value;

use super::objectives::ObjectiveArgs;
use super::tasks::{self, GuardArgs};
use super::workbench::{SpaceSource, Workbench, WorkerArgs};
use super::{Failure, run_models, unchanged};

/// As much of a run as a recipe needs, found unchanged.
pub enum RunBench {
    /// No documents.
    Nothing,
    /// The tasks that the experts of a token router are for.
    Tasks(Vec<Task>),
    /// All, to fit the gate of a document router.
    Whole(Box<Workbench>),
}

impl RunBench {
    /// What `recipe` needs.
    pub fn of(recipe: &Recipe, run: &RunFolder) -> Result<RunBench, Failure> {
        if recipe.document_router.is_some() {
            return Ok(RunBench::Whole(Box::new(whole(run)?)));
        }
        let experts = token_router(recipe).map_or(&[][..], |router| &router.experts);
        match experts.iter().any(|expert| matches!(expert.positive_prompts, Prompts::Task(_))) {
            false => Ok(RunBench::Nothing),
            true => {
                let space = run_models::space(run)?;
                let tasks = tasks::load(&space.tasks)?;
                let limits = space.docs;
                unchanged::require_tasks(run.manifest(), &tasks, limits, unchanged::AS_SCORED)?;
                Ok(RunBench::Tasks(tasks))
            }
        }
    }

    /// Those that the recipe may name.
    pub fn tasks(&self) -> &[Task] {
        match self {
            RunBench::Nothing => &[],
            RunBench::Tasks(tasks) => tasks,
            RunBench::Whole(bench) => &bench.tasks,
        }
    }

    /// The model that gates on hidden states read prompts with.
    pub fn base(&self) -> Option<&ModelRef> {
        match self {
            RunBench::Nothing | RunBench::Tasks(_) => None,
            RunBench::Whole(bench) => Some(&bench.decoder.space().base),
        }
    }

    /// A gate, fitted to the run's own documents.
    pub fn gate(&self, gate: &Gate) -> Result<Value, Failure> {
        match self {
            RunBench::Nothing | RunBench::Tasks(_) => Ok(Value::Null),
            RunBench::Whole(bench) => fitted(bench, gate),
        }
    }
}

/// Everything that the run scored with.
pub fn whole(run: &RunFolder) -> Result<Workbench, Failure> {
    let manifest = run.manifest();
    let source = SpaceSource::recorded(&manifest.space.path, &manifest.space.text)?;
    let machine = WorkerArgs { workers: None, memory: None, precision: None };
    let guard = GuardArgs { forbid_overlap: Vec::new() };
    let bench = Workbench::open(&source, &ObjectiveArgs::default(), &machine, &guard)?;
    unchanged::require_all(manifest, &bench, unchanged::AS_SCORED)?;
    Ok(bench)
}

/// The gate as JSON.
pub fn fitted(bench: &Workbench, gate: &Gate) -> Result<Value, Failure> {
    let gate = bench.evaluator.gate(gate).map_err(|error| Failure::from_error(&error))?;
    serde_json::to_value(&gate).map_err(|error| Failure::from_error(&error))
}
