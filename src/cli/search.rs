//! `merge-search [SPACE] --budget 24h`: the main job.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use clap::Args as ClapArgs;
use merge_search::optimizer::Optimizer;
use merge_search::race::Racing;
use merge_search::record::{
    GeneColumn, OptimizerSettings, RunBudget, RunManifest, RunWriter, SCHEMA_VERSION, SpaceFile,
};
use merge_search::search::{self, Budget, Ending, Setup};
use merge_search::units::Seed;

use super::objectives::{self, ObjectiveArgs};
use super::optimizer::{OptimizerArgs, Plan};
use super::progress::Watcher;
use super::tasks::GuardArgs;
use super::workbench::{NumberType, SpaceSource, Workbench, WorkerArgs, tell_notes};
use super::{Failure, report, tell, unchanged};

/// What the search command takes.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Search space (TOML); without it, the built-in quickstart
    space: Option<PathBuf>,
    /// Time for the whole run, final selection included: 90s, 30m, 24h [default: 2m]
    #[arg(long, value_parser = parse_budget, value_name = "TIME", conflicts_with = "trials")]
    budget: Option<Duration>,
    /// Stop after so many candidates instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    trials: Option<u64>,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Where run folders go
    #[arg(long, default_value = "results", value_name = "DIR")]
    results: PathBuf,
    /// Name of the run's folder [default: the space's name and the time]
    #[arg(long, value_name = "RUN")]
    name: Option<String>,
    /// Go on with the run in this folder, with the space, seed, optimizer and budget it began with
    #[arg(long, value_name = "RUN", conflicts_with_all = ["space", "budget", "trials", "seed", "optimizer", "population", "sigma", "warm_start", "objectives", "max_relative_time", "max_relative_memory", "results", "name"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    optimizer: OptimizerArgs,
    #[command(flatten)]
    objectives: ObjectiveArgs,
    #[command(flatten)]
    guard: GuardArgs,
    #[command(flatten)]
    workers: WorkerArgs,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// No progress, only the report
    #[arg(long)]
    quiet: bool,
}

const DEFAULT_BUDGET: Duration = Duration::from_secs(120);

fn parse_budget(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write 90s, 30m, 24h or 1h30m"))?;
    match time.as_secs() {
        0 => Err("at least 1s".to_owned()),
        _ => Ok(time),
    }
}

/// Searches, or goes on searching.
pub fn run(args: &Args) -> Result<(), Failure> {
    let started = Instant::now();
    let interrupt = catch_interrupts()?;
    let prepared = match &args.resume {
        Some(run) => resume(args, run)?,
        None => begin(args)?,
    };
    let folder = prepared.writer.folder().path().to_owned();
    let _set_once = RUN.set(folder.clone());
    warn_of_tokenizers(&prepared.bench);
    let watcher = Watcher::new(prepared.budget, args.quiet || args.json);
    let ending = search::run(Setup {
        decoder: &prepared.bench.decoder,
        layers: prepared.bench.layers,
        evaluator: &prepared.bench.evaluator,
        workers: &prepared.bench.workers,
        optimizer: prepared.optimizer,
        racing: prepared.racing,
        budget: prepared.budget,
        seed: prepared.seed,
        writer: prepared.writer,
        started,
        interrupt: &interrupt,
        listener: &|event| watcher.on(&event),
    });
    watcher.finish();
    match ending.map_err(|error| Failure::of_run(&error, &folder))? {
        Ending::Finished(done) => report::print(&done, &folder, args.json),
        Ending::Interrupted => Err(Failure::stopped("interrupted; everything scored is recorded")
            .remedy(format!("go on with: merge-search --resume {}", folder.display()))),
    }
}

/// A run that is ready to go.
struct Prepared {
    bench: Workbench,
    optimizer: Box<dyn Optimizer + Send>,
    racing: Option<Racing>,
    budget: Budget,
    seed: Seed,
    writer: RunWriter,
}

fn begin(args: &Args) -> Result<Prepared, Failure> {
    let folder = run_folder(args)?;
    let source = SpaceSource::open(args.space.as_deref())?;
    let bench = Workbench::open(&source, &args.objectives, &args.workers, &args.guard)?;
    tell_notes(bench.decoder.space());
    let seed = Seed(args.seed);
    let budget = match args.trials {
        Some(trials) => Budget::Trials(trials),
        None => Budget::WallClock(args.budget.unwrap_or(DEFAULT_BUDGET)),
    };
    let plan = Plan::new(&args.optimizer, &bench, args.workers.count(), budget)?.settled(&bench)?;
    let optimizer = plan.build(&bench, seed)?;
    let manifest = manifest(&source, &bench, plan.record(), budget, seed, &args.workers)?;
    let folder = folder.unwrap_or_else(|| unused_folder(args, &bench.decoder.space().name));
    let writer = RunWriter::create(&folder, manifest)?;
    Ok(Prepared { bench, optimizer, racing: plan.racing, budget, seed, writer })
}

fn resume(args: &Args, run: &Path) -> Result<Prepared, Failure> {
    let writer = RunWriter::resume(run)?;
    let manifest = writer.folder().manifest().clone();
    let source = SpaceSource::recorded(&manifest.space.path, &manifest.space.text)?;
    let machine = WorkerArgs { precision: precision_of(args, &manifest)?, ..args.workers.clone() };
    let objectives = ObjectiveArgs::recorded(&manifest)?;
    let bench = Workbench::open(&source, &objectives, &machine, &args.guard)?;
    check_unchanged(&manifest, &bench)?;
    let plan = Plan::recorded(&manifest.optimizer, &bench)?;
    let optimizer = plan.build(&bench, manifest.seed)?;
    let budget = match (manifest.budget.trials, manifest.budget.seconds) {
        (Some(trials), _) => Budget::Trials(trials),
        (None, seconds) => {
            Budget::WallClock(Duration::from_secs_f64(seconds.unwrap_or_default().max(0.0)))
        }
    };
    Ok(Prepared { bench, optimizer, racing: plan.racing, budget, seed: manifest.seed, writer })
}

/// The first Ctrl-C asks for a clean stop; the second ends the process at once, which the record survives too.
fn catch_interrupts() -> Result<Arc<AtomicBool>, Failure> {
    let interrupt = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupt);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            stop_at_once();
        }
        tell("\nstopping after the candidates in flight; Ctrl-C again to stop at once");
    })
    .map_err(|error| Failure::input(format!("cannot catch Ctrl-C: {error}")))?;
    Ok(interrupt)
}

/// The run that is being written, once there is one.
static RUN: OnceLock<PathBuf> = OnceLock::new();

fn stop_at_once() -> ! {
    let Some(folder) = RUN.get() else {
        tell("stopped before the run began");
        std::process::exit(2);
    };
    tell(&format!("stopped; go on with: merge-search --resume {}", folder.display()));
    std::process::exit(3);
}

fn warn_of_tokenizers(bench: &Workbench) {
    for folder in bench.evaluator.other_tokenizers() {
        tell(&format!(
            "warning: {} has another vocabulary than the base model; everything is scored with the base model's tokenizer",
            folder.display()
        ));
    }
}

/// The folder that `--name` asks for, checked before anything slow is done.
fn run_folder(args: &Args) -> Result<Option<PathBuf>, Failure> {
    let Some(name) = &args.name else {
        return Ok(None);
    };
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Failure::input(format!(
            "--name {name:?}: letters, digits, `-`, `_` and `.` only"
        )));
    }
    let folder = args.results.join(name);
    // An empty or half-made folder is taken: the record refuses what is not empty.
    if folder.join("manifest.json").exists() {
        return Err(Failure::input(format!("{} exists already", folder.display())).remedy(
            format!(
                "go on with it: --resume {}; or give this run another --name",
                folder.display()
            ),
        ));
    }
    Ok(Some(folder))
}

fn unused_folder(args: &Args, space: &str) -> PathBuf {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let stamp: String = now.chars().filter(char::is_ascii_digit).collect();
    let name = format!("{space}-{}-{}", &stamp[..8], &stamp[8..14]);
    let candidates = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}")));
    let mut folders = candidates.map(|name| args.results.join(name));
    folders.find(|folder| !folder.exists()).unwrap_or_default()
}

fn manifest(
    source: &SpaceSource,
    bench: &Workbench,
    optimizer: OptimizerSettings,
    budget: Budget,
    seed: Seed,
    machine: &WorkerArgs,
) -> Result<RunManifest, Failure> {
    Ok(RunManifest {
        schema_version: SCHEMA_VERSION,
        written_by: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        command_line: std::env::args().collect(),
        seed,
        space: SpaceFile::new(source.path.clone(), source.text.clone()),
        genes: bench.decoder.dimensions().iter().map(GeneColumn::from).collect(),
        optimizer,
        budget: match budget {
            Budget::WallClock(time) => {
                RunBudget { seconds: Some(time.as_secs_f64()), trials: None }
            }
            Budget::Trials(trials) => RunBudget { seconds: None, trials: Some(trials) },
        },
        tasks: unchanged::task_entries(&bench.tasks, bench.decoder.space().docs),
        objective: bench.aggregate.clone(),
        objectives: objectives::words(bench.decoder.space()),
        constraints: bench.decoder.space().constraints,
        tie_break: bench.decoder.space().tie_break.unwrap_or(true),
        checkpoints: unchanged::checkpoint_entries(bench)?,
        device: device(machine.precision).to_owned(),
    })
}

/// What the manifest calls the machine that scores.
fn device(precision: Option<NumberType>) -> &'static str {
    match precision {
        None | Some(NumberType::F32) => "cpu",
        Some(NumberType::Bf16) => "cpu-bf16",
    }
}

/// The precision that a run began with: scores of another must not be mixed into it.
fn precision_of(args: &Args, manifest: &RunManifest) -> Result<Option<NumberType>, Failure> {
    let known = [NumberType::F32, NumberType::Bf16].map(Some);
    let began = known.into_iter().find(|precision| device(*precision) == manifest.device);
    let began = began.ok_or_else(|| {
        Failure::input(format!("the run was begun on the device `{}`", manifest.device))
    })?;
    match args.workers.precision {
        Some(asked) if Some(asked) != began => {
            Err(Failure::input("--precision: the run was begun with the other one")
                .remedy("leave it away to go on, or begin a new run"))
        }
        _ => Ok(began),
    }
}

/// Scores of other weights or other documents must not be mixed into a run.
fn check_unchanged(manifest: &RunManifest, bench: &Workbench) -> Result<(), Failure> {
    unchanged::require_all(manifest, bench, unchanged::TO_RESUME)?;
    if manifest.objective != bench.aggregate {
        let changed = "key `objective.rivals` has changed since the run began";
        return Err(Failure::input(changed).remedy(unchanged::TO_RESUME));
    }
    Ok(())
}
