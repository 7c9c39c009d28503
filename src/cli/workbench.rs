//! Opens what a search space names: checkpoints, tasks, evaluator.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use merge_search::checkpoint::Hub;
use merge_search::evaluate::CandleEvaluator;
use merge_search::genome::{Decoder, GroupFilters};
use merge_search::recipe::ModelRef;
use merge_search::space::SearchSpace;
use merge_search::task::Task;
use merge_search::units::TensorGroup;

use super::{Failure, quickstart, tell};

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

/// How many candidates at once.
#[derive(Debug, Clone, ClapArgs)]
pub struct WorkerArgs {
    /// Candidates scored side by side, each on one core [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
}

impl WorkerArgs {
    pub fn count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
        self.workers.map_or_else(cores, usize::from)
    }
}

/// Everything that scoring a candidate of a space takes.
pub struct Workbench {
    pub decoder: Decoder,
    pub evaluator: CandleEvaluator,
    pub tasks: Vec<Task>,
    pub layers: usize,
    /// Base first.
    pub names: Vec<String>,
}

impl Workbench {
    /// Opens and checks everything the space names.
    pub fn open(source: &SpaceSource, workers: usize) -> Result<Self, Failure> {
        let space = SearchSpace::parse(&source.text, &source.file)?;
        let tasks = space
            .tasks
            .iter()
            .map(|folder| Task::load(folder).map_err(|error| Failure::from_error(&error)))
            .collect::<Result<Vec<_>, _>>()?;
        let models: Vec<ModelRef> = std::iter::once(space.base.clone())
            .chain(space.experts.iter().map(|expert| expert.model.clone()))
            .collect();
        let names = (0..models.len()).map(|model| space.model_name(model)).collect();
        let docs = [space.docs.search, space.docs.selection, space.docs.holdout];
        let evaluator = CandleEvaluator::open(&models, &hub(), &tasks, docs)?;
        evaluator.require_memory(workers, &space.methods).map_err(|error| {
            Failure::from(error).remedy("use fewer --workers, or a machine with more memory")
        })?;
        let layers = evaluator.layers();
        let decoder = Decoder::new(space, layers, group_filters(&evaluator))
            .map_err(|error| Failure::from_error(&error))?;
        Ok(Self { decoder, evaluator, tasks, layers, names })
    }
}

/// What the space's named groups are called in the base model.
fn group_filters(evaluator: &CandleEvaluator) -> GroupFilters {
    let architecture = evaluator.architecture();
    let filters = |group: TensorGroup| (group, architecture.filters(group).to_vec());
    TensorGroup::NAMED.into_iter().map(filters).collect()
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
