//! Opens what a search space names: checkpoints, tasks, evaluator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args as ClapArgs;
use merge_search::checkpoint::{Architecture, Checkpoint, Position};
use merge_search::evaluate::{CandleEvaluator, OpenError, Pool, Resources, SetError, Workers};
use merge_search::genome::{Decoder, GroupFilters, Landmarks};
use merge_search::hub::Hub;
use merge_search::model::Precision;
use merge_search::objective::Aggregate;
use merge_search::recipe::ModelRef;
use merge_search::space::SearchSpace;
use merge_search::task::Task;
use merge_search::units::{Bytes, TensorGroup};

use super::objectives::ObjectiveArgs;
use super::tasks::{self, GuardArgs};
use super::{Failure, prompts, quickstart, tell};

/// A search-space file and where it lies.
pub struct SpaceSource {
    /// As the manifest records it.
    pub path: String,
    /// The whole file.
    pub text: String,
    /// What relative paths in it are taken from.
    pub file: PathBuf,
}

impl SpaceSource {
    /// A file, or the built-in quickstart.
    pub fn open(space: Option<&Path>) -> Result<Self, Failure> {
        let (path, file) = match space {
            None => (quickstart::NAME.to_owned(), quickstart::unpack()?),
            Some(file) => {
                let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
                (file.display().to_string(), file)
            }
        };
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Failure::input(format!("cannot read search space {}: {error}", file.display()))
                .remedy("give a .toml file, a mergekit-evolve .yaml, or nothing for the built-in quickstart")
        })?;
        Ok(Self { path, text, file })
    }

    /// The text that a manifest holds, with its paths taken from where the file was.
    pub fn recorded(path: &str, text: &str) -> Result<Self, Failure> {
        let file =
            if path == quickstart::NAME { quickstart::unpack()? } else { PathBuf::from(path) };
        Ok(Self { path: path.to_owned(), text: text.to_owned(), file })
    }
}

/// What the machine gives.
#[derive(Debug, Clone, ClapArgs)]
pub struct WorkerArgs {
    /// Threads that merge and score; up to as many candidates are under way at once [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// Memory to use at most, besides the mapped checkpoints: in bytes or with k, M or G [default: what is free]
    #[arg(long, value_name = "SIZE", value_parser = super::merge::bytes)]
    pub memory: Option<Bytes>,
    /// Type that weights are multiplied in; bf16 is less exact, and faster on CPUs that have it [default: f32]
    #[arg(long, value_name = "TYPE")]
    pub precision: Option<NumberType>,
}

/// Words for [`Precision`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum NumberType {
    F32,
    Bf16,
}

impl WorkerArgs {
    pub fn count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
        self.workers.map_or_else(cores, usize::from)
    }

    /// Starts the threads.
    pub fn pool(&self) -> Result<Arc<Pool>, Failure> {
        let pool = Pool::new(self.count());
        pool.map(Arc::new).map_err(|error| {
            Failure::input(format!("cannot start {} threads: {error}", self.count()))
                .remedy("use fewer --workers")
        })
    }

    /// The word for the type that weights are multiplied in.
    pub fn precision(&self) -> &'static str {
        match self.precision {
            None | Some(NumberType::F32) => "f32",
            Some(NumberType::Bf16) => "bf16",
        }
    }

    pub fn resources(&self) -> Resources {
        let precision = match self.precision {
            None | Some(NumberType::F32) => Precision::F32,
            Some(NumberType::Bf16) => Precision::Bf16,
        };
        Resources { memory: self.memory, precision }
    }
}

/// Everything that scoring a candidate of a space takes.
pub struct Workbench {
    pub decoder: Decoder,
    pub evaluator: CandleEvaluator,
    pub workers: Workers,
    pub tasks: Vec<Task>,
    /// Of the tasks' scores.
    pub aggregate: Aggregate,
    pub layers: usize,
    /// Base first.
    pub names: Vec<String>,
}

impl Workbench {
    /// Opens and checks everything the space names.
    pub fn open(
        source: &SpaceSource,
        objectives: &ObjectiveArgs,
        machine: &WorkerArgs,
        guard: &GuardArgs,
    ) -> Result<Self, Failure> {
        let mut space = SearchSpace::parse(&source.text, &source.file)?;
        objectives.apply(&mut space);
        let tasks = tasks::load(&space.tasks)?;
        tasks::guard(&tasks, guard)?;
        let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
        space
            .check_tasks(&names)
            .map_err(|error| Failure::input(format!("{}: {error}", source.path)))?;
        let aggregate = aggregate(source, &space, &tasks)?;
        let models: Vec<ModelRef> = std::iter::once(space.base.clone())
            .chain(space.experts.iter().map(|expert| expert.model.clone()))
            .collect();
        let names = (0..models.len()).map(|model| space.model_name(model)).collect();
        let docs = [space.docs.search, space.docs.selection, space.docs.holdout];
        let (methods, pool) = (&space.methods, machine.pool()?);
        let resources = machine.resources();
        let evaluator =
            CandleEvaluator::open(&models, &hub(), &tasks, docs, methods, resources, pool)
                .map_err(with_remedy)?;
        prompts::check(&source.path, &space, &evaluator)?;
        for left_out in evaluator.infeasible_metrics() {
            tell(&tasks::left_out(left_out));
        }
        let workers = Workers::new(machine.count()).at_most(evaluator.candidates_at_once());
        let layers = evaluator.layers();
        let base = evaluator.checkpoints().next().into_iter();
        let tensors = base.flat_map(Checkpoint::tensors).map(|(name, _)| name);
        let filters = group_filters(evaluator.architecture(), tensors);
        let decoder =
            Decoder::new(space, layers, filters).map_err(|error| Failure::from_error(&error))?;
        Ok(Self { decoder, evaluator, workers, tasks, aggregate, layers, names })
    }
}

/// Names of tasks stand in their own files, so that the space could not be checked for them.
fn aggregate(
    source: &SpaceSource,
    space: &SearchSpace,
    tasks: &[Task],
) -> Result<Aggregate, Failure> {
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    Aggregate::new(&space.aggregate, &names)
        .map_err(|error| Failure::input(format!("{}: {error}", source.path)))
}

/// What to do about an evaluator that could not be opened.
pub fn with_remedy(error: OpenError) -> Failure {
    let remedy = match &error {
        OpenError::Memory { .. } | OpenError::Set(SetError::Memory { .. }) => {
            Some("give more --memory, use fewer --workers, or a machine with more memory")
        }
        OpenError::Set(SetError::Infeasible(_)) => Some(
            "judge by another metric: put it first in the task file, or with `eval`, --metric NAME",
        ),
        _ => None,
    };
    let failure = Failure::from(error);
    match remedy {
        Some(remedy) => failure.remedy(remedy),
        None => failure,
    }
}

/// What the space's named groups are called in the base model, whose tensors have these names.
pub fn group_filters<'a>(
    architecture: &Architecture,
    tensors: impl Iterator<Item = &'a str>,
) -> GroupFilters {
    let filters = |group: TensorGroup| (group, architecture.filters(group).to_vec());
    let groups: GroupFilters = TensorGroup::NAMED.into_iter().map(filters).collect();
    groups.with_landmarks(landmarks(architecture, tensors))
}

/// Tensors of the base model that layers are told apart by; none in a model of several stacks.
fn landmarks<'a>(architecture: &Architecture, tensors: impl Iterator<Item = &'a str>) -> Landmarks {
    let mut landmarks = Landmarks::default();
    if architecture.stacks().len() != 1 {
        return landmarks;
    }
    for name in tensors {
        let list = match architecture.place(name).position {
            Position::Before => &mut landmarks.before,
            Position::After => &mut landmarks.after,
            Position::Layer(0) if architecture.is_residual(name) => &mut landmarks.outputs,
            Position::Layer(_) => continue,
        };
        list.push(name.to_owned());
    }
    landmarks
}

/// What a user of the space should know of how it is read.
pub fn tell_notes(space: &SearchSpace) {
    for note in &space.notes {
        tell(&format!("note: {note}"));
    }
}

/// The hub as Python's huggingface_hub would find it.
pub fn hub() -> Hub {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let caches = variable("XDG_CACHE_HOME")
        .map_or_else(|| dirs::home_dir().unwrap_or_default().join(".cache"), PathBuf::from);
    let home = variable("HF_HOME").map_or_else(|| caches.join("huggingface"), PathBuf::from);
    let cache = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE"));
    let on = |value: String| matches!(value.to_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE");
    let token_file = variable("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
    let token = variable("HF_TOKEN")
        .or_else(|| variable("HUGGING_FACE_HUB_TOKEN"))
        .or_else(|| std::fs::read_to_string(token_file).ok())
        .map(|token| token.trim().to_owned());
    Hub {
        cache: cache.map_or_else(|| home.join("hub"), PathBuf::from),
        endpoint: variable("HF_ENDPOINT").map(|url| url.trim_end_matches('/').to_owned()),
        token: token.filter(|token| !token.is_empty()),
        offline: variable("HF_HUB_OFFLINE").is_some_and(on),
        progress: std::io::IsTerminal::is_terminal(&std::io::stderr()),
    }
}
