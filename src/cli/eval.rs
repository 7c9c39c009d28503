//! `merge-search eval MODEL --task T…`: scores one model.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args as ClapArgs, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use merge_search::evaluate::{
    Documents, ReadyModel, ScoringSet, Source, SourceError, check_names, peak_memory,
};
use merge_search::model::device;
use merge_search::model::gguf::Gguf;
use merge_search::objective::interval_of;
use merge_search::outcome::{Estimate, TaskScore};
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::record::{ChoiceRow, write_choices};
use merge_search::task::Task;
use merge_search::units::Split;
use serde_json::{Value, json};

use super::workbench::{NumberType, WorkerArgs, hub, with_remedy};
use super::{Failure, print};

/// Scores one model: a checkpoint, a checkpoint with an adapter, a recipe, or a GGUF file
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Folder or hub id (`MODEL[@revision][+ADAPTER]`), recipe (.yaml, .yml; merged in memory), or .gguf file
    model: String,
    /// Task folder with a task.toml; may be given several times
    #[arg(long = "task", value_name = "PATH", required = true)]
    tasks: Vec<PathBuf>,
    /// Which documents of each task
    #[arg(long, value_enum, default_value_t = SplitName::Holdout)]
    split: SplitName,
    /// Only the first N documents of each task
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Also write a parquet file with the log-likelihood of every choice of every document; must not exist
    #[arg(long, value_name = "FILE")]
    per_doc: Option<PathBuf>,
    /// What computes: cpu, or the GPU cuda or cuda:N, with bf16 as its default precision and --memory its own memory
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
    #[command(flatten)]
    machine: WorkerArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SplitName {
    Search,
    Selection,
    Holdout,
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Search => Split::Search,
            SplitName::Selection => Split::Selection,
            SplitName::Holdout => Split::Holdout,
        }
    }
}

impl Args {
    /// With a precision that suits a GPU where none was asked for.
    fn machine_of(&self, gpu: bool) -> WorkerArgs {
        let default = gpu.then_some(NumberType::Bf16);
        WorkerArgs { precision: self.machine.precision.or(default), ..self.machine.clone() }
    }
}

/// Scores and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    if let Some(file) = &args.per_doc {
        require_writable(file)?;
    }
    let load = |folder: &PathBuf| Task::load(folder).map_err(|error| Failure::from_error(&error));
    let tasks = args.tasks.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    check_names(&tasks)?;
    let limit = args.limit.map(|limit| limit as usize);
    let documents = Documents { tasks: &tasks, split: args.split.into(), limit };
    let report = Report::measure(args, &documents)?;
    print(&if args.json { report.json(args) } else { report.text(args) })
}

/// Before an hour of scoring, not after it.
fn require_writable(file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    if file.exists() {
        return Err(Failure::input(format!("--per-doc {shown}: the file exists already"))
            .remedy("name another file, or remove this one"));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(Failure::input(format!(
            "--per-doc {shown}: there is no folder {}",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

fn source(model: &str) -> Result<Source, Failure> {
    let path = Path::new(model);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if Gguf::is_gguf(path) {
        return Ok(Source::Gguf(path.to_owned()));
    }
    if matches!(extension, "yaml" | "yml") && !path.is_dir() {
        let recipe = Recipe::read(path).map_err(|error| Failure::from_error(&error))?;
        return Ok(Source::Recipe(Box::new(recipe)));
    }
    let model = ModelRef::new(model).map_err(|error| Failure::from_error(&error))?;
    Ok(Source::Checkpoint(model))
}

/// What was measured.
struct Report<'a> {
    tasks: &'a [Task],
    scores: Vec<TaskScore>,
    mean: Estimate,
    docs: usize,
    tokens: usize,
    threads: usize,
    /// That weights were multiplied in.
    precision: &'static str,
    load_seconds: f64,
    /// Wall clock of tokenizing and scoring.
    seconds: f64,
}

impl<'a> Report<'a> {
    fn measure(args: &Args, documents: &Documents<'a>) -> Result<Self, Failure> {
        let device = device::open(&args.device).map_err(|error| Failure::from_error(&error))?;
        let source = source(&args.model)?;
        let machine = args.machine_of(device.is_cuda());
        let (threads, pool) = (machine.count(), machine.pool()?);
        let (resources, precision) = (machine.resources(), machine.precision());
        let start = Instant::now();
        let device = (!device.is_cpu()).then_some(&device);
        let model = source.load(&hub(), &resources, device, &pool).map_err(unusable)?;
        let load_seconds = start.elapsed().as_secs_f64();
        let room = resources.room_beside(&*model.network, threads);
        let start = Instant::now();
        let Documents { tasks, split, limit } = *documents;
        let set = ScoringSet::new(tasks, split, limit, &model.tokenizer, &*model.network, room)
            .map_err(|error| with_remedy(error.into()))?;
        let bar = progress_bar(set.answers(), args.quiet);
        let progress = |answers: usize| bar.inc(answers as u64);
        let likelihoods = set.log_likelihoods_watched(&*model.network, &pool, &progress);
        bar.finish_and_clear();
        let likelihoods = likelihoods.map_err(|error| Failure::from_error(&error))?;
        let scores = documents.decide(&likelihoods).map_err(|error| Failure::from_error(&error))?;
        let seconds = start.elapsed().as_secs_f64();
        if let Some(file) = &args.per_doc {
            write_choices(file, &rows(documents, &model, &likelihoods, &scores)?)?;
        }
        let (mean, docs, tokens) = (interval_of(&scores), set.docs(), set.tokens());
        Ok(Report { tasks, scores, mean, docs, tokens, threads, precision, load_seconds, seconds })
    }

    fn docs_per_second(&self) -> f64 {
        self.docs as f64 / self.seconds
    }

    /// What computed.
    fn computer(&self, args: &Args) -> String {
        match args.device.as_str() {
            "cpu" => format!("{} threads", self.threads),
            device => device.to_owned(),
        }
    }

    fn text(&self, args: &Args) -> String {
        let width = self.tasks.iter().map(|task| task.name.chars().count()).max().unwrap_or(0);
        let width = width.max("geometric mean".len());
        let split: Split = args.split.into();
        let mut text = format!("{} on {split}, ×100 with 95 % interval\n", args.model);
        text.push_str(&format!(
            "{:<width$} {:>6} {:<8} {:>20}\n",
            "", "docs", "metric", "accuracy"
        ));
        for (task, score) in self.tasks.iter().zip(&self.scores) {
            let (docs, metric) = (score.items.len(), task.metric.as_str());
            let accuracy = cell(interval_of(std::slice::from_ref(score)));
            let name = &task.name;
            text.push_str(&format!("{name:<width$} {docs:>6} {metric:<8} {accuracy:>20}\n"));
        }
        let (name, mean) = ("geometric mean", cell(self.mean));
        text.push_str(&format!("{name:<width$} {:>6} {:<8} {mean:>20}\n", self.docs, ""));
        text.push_str(&format!(
            "\n{:.1} docs/s: {} documents ({} tokens) in {:.2} s on {} in {}; {:.2} s to load; {} at most\n",
            self.docs_per_second(),
            self.docs,
            self.tokens,
            self.seconds,
            self.computer(args),
            self.precision,
            self.load_seconds,
            peak_memory()
        ));
        text
    }

    fn json(&self, args: &Args) -> String {
        let task = |(task, score): (&Task, &TaskScore)| {
            let accuracy = interval_of(std::slice::from_ref(score));
            json!({
                "task": task.name,
                "metric": task.metric.as_str(),
                "docs": score.items.len(),
                "accuracy": score.accuracy().0,
                "low": accuracy.low,
                "high": accuracy.high,
            })
        };
        let tasks: Vec<Value> = self.tasks.iter().zip(&self.scores).map(task).collect();
        let report = json!({
            "model": args.model,
            "device": args.device,
            "precision": self.precision,
            "split": Split::from(args.split).as_str(),
            "docs": self.docs,
            "seconds": self.seconds,
            "docs_per_second": self.docs_per_second(),
            "load_seconds": self.load_seconds,
            "peak_bytes": peak_memory().0,
            "tokens": self.tokens,
            "threads": self.threads,
            "tasks": tasks,
            "geometric_mean": self.mean.value,
            "geometric_mean_low": self.mean.low,
            "geometric_mean_high": self.mean.high,
        });
        format!("{report:#}\n")
    }
}

fn cell(mean: Estimate) -> String {
    format!("{:.1} [{:.1}, {:.1}]", 100.0 * mean.value, 100.0 * mean.low, 100.0 * mean.high)
}

fn unusable(error: SourceError) -> Failure {
    match error {
        SourceError::Open(error) => with_remedy(*error),
        error => Failure::from_error(&error),
    }
}

/// One row per document and choice.
fn rows(
    documents: &Documents,
    model: &ReadyModel,
    likelihoods: &[Vec<Vec<f32>>],
    scores: &[TaskScore],
) -> Result<Vec<ChoiceRow>, Failure> {
    let tokens = documents
        .scored_tokens(&model.tokenizer, model.network.spec())
        .map_err(|error| Failure::from_error(&error))?;
    let mut rows = Vec::new();
    let of_tasks = documents.tasks.iter().zip(likelihoods).zip(tokens).zip(scores);
    for (((task, likelihoods), tokens), score) in of_tasks {
        let of_docs = documents.of(task).iter().zip(likelihoods).zip(tokens).zip(&score.items);
        for (doc, (((question, likelihoods), tokens), item)) in (0..).zip(of_docs) {
            for (choice, (log_likelihood, tokens)) in (0..).zip(likelihoods.iter().zip(tokens)) {
                rows.push(ChoiceRow {
                    task: task.name.clone(),
                    doc,
                    line: question.line as u32,
                    choice,
                    log_likelihood: f64::from(*log_likelihood),
                    tokens: tokens as u32,
                    target: question.target as u32,
                    chosen: item.chosen.unwrap_or_default(),
                    correct: item.score == 1.0,
                });
            }
        }
    }
    Ok(rows)
}

fn progress_bar(answers: usize, quiet: bool) -> ProgressBar {
    let on_terminal = std::io::stderr().is_terminal() && !quiet;
    let target =
        if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(answers as u64), target);
    let template = "{bar:30} {percent:>3}% {pos} of {len} choices, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
