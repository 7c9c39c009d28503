//! `merge-search eval MODEL --task T…`: scores one model.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args as ClapArgs, ValueEnum};
use merge_search::evaluate::{
    Column, DocAnswer, Documents, InfeasibleMetric, ScoringSet, Source, check_names, peak_memory,
    ready_tasks,
};
use merge_search::model::device;
use merge_search::objective::interval_of;
use merge_search::outcome::{Estimate, MetricScore, TaskScore};
use merge_search::record::{AnswerRow, write_answers};
use merge_search::task::{Prompt, Task};
use merge_search::units::Split;
use serde_json::{Value, json};

use super::workbench::{WorkerArgs, hub, with_remedy};
use super::{Failure, print, prompts, scored, tasks, tell};

/// Scores one model: a checkpoint, a checkpoint with an adapter, a recipe, or a GGUF file
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Folder or hub id (`MODEL[@revision][+ADAPTER]`), recipe (.yaml, .yml; merged in memory), or .gguf file
    model: String,
    /// Task: a folder with a task.toml, a task file (.toml, or lm-eval's .yaml), or a CSV file of the competition's starter
    /// kit; may be given several times
    #[arg(long = "task", value_name = "PATH", required = true)]
    tasks: Vec<PathBuf>,
    /// Which documents of each task
    #[arg(long, value_enum, default_value_t = SplitName::Holdout)]
    split: SplitName,
    /// Only the first N documents of each task
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Judge by this one of the tasks' metrics
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    #[command(flatten)]
    prompt: PromptArgs,
    /// Also write a parquet file with every answer to every document; must not exist
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

/// In place of what the task files say.
#[derive(Debug, Clone, Default, ClapArgs)]
struct PromptArgs {
    /// Solved examples in front of each question
    #[arg(long, value_name = "N")]
    num_fewshot: Option<usize>,
    /// What comes before everything else
    #[arg(long, value_name = "TEXT")]
    system_instruction: Option<String>,
    /// Let the model's chat template write the prompts
    #[arg(long)]
    apply_chat_template: bool,
    /// In a chat, make each example a turn of its own
    #[arg(long)]
    fewshot_as_multiturn: bool,
    /// Tokens of a written answer at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_gen_toks: Option<u32>,
}

impl PromptArgs {
    fn of(&self, task: &Task) -> Prompt {
        let own = task.prompt.clone();
        Prompt {
            num_fewshot: self.num_fewshot.unwrap_or(own.num_fewshot),
            system_instruction: self.system_instruction.clone().or(own.system_instruction),
            apply_chat_template: self.apply_chat_template || own.apply_chat_template,
            fewshot_as_multiturn: self.fewshot_as_multiturn || own.fewshot_as_multiturn,
            max_gen_toks: self.max_gen_toks.map_or(own.max_gen_toks, |tokens| tokens as usize),
            ..own
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SplitName {
    Search,
    Selection,
    Holdout,
    All,
}

impl SplitName {
    /// `None`: all.
    fn split(self) -> Option<Split> {
        match self {
            SplitName::Search => Some(Split::Search),
            SplitName::Selection => Some(Split::Selection),
            SplitName::Holdout => Some(Split::Holdout),
            SplitName::All => None,
        }
    }

    fn as_str(self) -> &'static str {
        self.split().map_or("all", Split::as_str)
    }
}

impl Args {
    /// As the recipe to be scored puts them, except for what the command line says.
    fn put(&self, tasks: Vec<Task>, source: &Source) -> Result<Vec<Task>, Failure> {
        let asked = |task: Task| {
            let task = match &self.metric {
                Some(metric) => task.judged_by(metric)?,
                None => task,
            };
            task.with_prompt(self.prompt.of(&task), None)
        };
        let tasks = match source {
            Source::Recipe(recipe) => prompts::put(tasks, recipe)?,
            Source::Checkpoint(_) | Source::Gguf(_) => tasks,
        };
        let tasks = tasks.into_iter().map(asked).collect::<Result<Vec<_>, _>>();
        tasks.map_err(|error| Failure::from_error(&error))
    }
}

/// Scores and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    if let Some(file) = &args.per_doc {
        scored::require_writable("--per-doc", file)?;
    }
    let source = scored::source(&args.model)?;
    let own = tasks::load(&args.tasks)?;
    let tasks = args.put(own.clone(), &source)?;
    check_names(&tasks)?;
    if let Source::Recipe(recipe) = &source
        && recipe.document_router.is_some()
    {
        tell(
            "note: the router's gate is fitted to these tasks; name those of its run, in their order",
        );
    }
    let report = Report::measure(args, &source, &own, &tasks)?;
    print(&if args.json { report.json(args) } else { report.text(args) })
}

/// What was measured.
struct Report {
    tasks: Vec<TaskReport>,
    /// `None` if a task has no score.
    mean: Option<Estimate>,
    infeasible: Vec<InfeasibleMetric>,
    docs: usize,
    tokens: usize,
    /// Of written answers.
    written: usize,
    /// Prompts that were cut at their beginning.
    truncated: usize,
    threads: usize,
    /// That weights were multiplied in.
    precision: &'static str,
    load_seconds: f64,
    /// Wall clock of tokenizing and scoring.
    seconds: f64,
}

/// One task's part.
struct TaskReport {
    name: String,
    metric: &'static str,
    docs: usize,
    /// `None` where the source does not tell what is right.
    score: Option<(Estimate, Vec<MetricScore>)>,
    /// Per token over all references, where a metric needs their likelihoods.
    perplexity: Option<f64>,
}

impl TaskReport {
    fn new(task: &Task, answers: &[DocAnswer], score: Option<&TaskScore>) -> Self {
        let shown =
            |score: &TaskScore| (interval_of(std::slice::from_ref(score)), score.others.clone());
        let (name, metric) = (task.name.clone(), task.judged().as_str());
        let of_all = answers.iter().filter_map(|answer| answer.reference);
        let (likelihood, tokens) =
            of_all.fold((0.0, 0), |(sum, all), (own, tokens)| (sum + f64::from(own), all + tokens));
        let perplexity = (tokens > 0).then(|| (-likelihood / tokens as f64).exp());
        TaskReport { name, metric, docs: answers.len(), score: score.map(shown), perplexity }
    }

    fn rows(&self, width: usize) -> String {
        let (name, docs, metric) = (&self.name, self.docs, self.metric);
        let Some((mean, others)) = &self.score else {
            return format!("{name:<width$} {docs:>6} {metric:<16} {:>20}\n", "no right answers");
        };
        let first = format!("{name:<width$} {docs:>6} {metric:<16} {:>20}\n", cell(*mean));
        let other = |other: &MetricScore| {
            format!("{:<width$} {:>6} {:<16} {:>6.1}\n", "", "", other.metric, 100.0 * other.score)
        };
        let rows = others.iter().fold(first, |rows, score| rows + &other(score));
        let perplexity = |perplexity: f64| {
            format!("{:<width$} {:>6} {:<16} {perplexity:>6.2}\n", "", "", "perplexity/token")
        };
        rows + &self.perplexity.map(perplexity).unwrap_or_default()
    }

    fn json(&self) -> Value {
        let mut report = json!({ "task": self.name, "metric": self.metric, "docs": self.docs, "accuracy": null,
            "perplexity_per_token": self.perplexity });
        if let Some((mean, others)) = &self.score {
            report["accuracy"] = json!(mean.value);
            report["low"] = json!(mean.low);
            report["high"] = json!(mean.high);
            let others: serde_json::Map<String, Value> =
                others.iter().map(|other| (other.metric.clone(), json!(other.score))).collect();
            report["others"] = Value::Object(others);
        }
        report
    }
}

impl Report {
    /// `own`: the tasks as their files have them.
    fn measure(
        args: &Args,
        source: &Source,
        own: &[Task],
        tasks: &[Task],
    ) -> Result<Self, Failure> {
        let device = device::open(&args.device).map_err(|error| Failure::from_error(&error))?;
        let machine = scored::machine_of(&args.machine, device.is_cuda());
        let (threads, pool) = (machine.count(), machine.pool()?);
        let (resources, precision) = (machine.resources(), machine.precision());
        let start = Instant::now();
        let device = (!device.is_cpu()).then_some(&device);
        let model =
            source.load(&hub(), &resources, device, &pool, own).map_err(scored::unusable)?;
        let load_seconds = start.elapsed().as_secs_f64();
        let room = model.room(&resources, threads);
        let start = Instant::now();
        let tasks = ready_tasks(tasks, &model.folder)?;
        let limit = args.limit.map(|limit| limit as usize);
        let documents = Documents { tasks: &tasks, split: args.split.split(), limit, docs: None };
        let set = ScoringSet::new(&documents, &model.tokenizer, &*model.network, room)
            .map_err(|error| with_remedy(error.into()))?;
        let bar = scored::progress_bar(set.answers(), args.quiet);
        let progress = |answers: usize| bar.inc(answers as u64);
        let own = ready_tasks(own, &model.folder)?;
        let prompts = Documents { tasks: &own, ..documents };
        let answers = model.ask(&set, &documents, &prompts, room, &pool, Some(&progress));
        bar.finish_and_clear();
        let answers = answers.map_err(|error| Failure::from_error(&error))?;
        let scores = set.decide(&answers).map_err(|error| Failure::from_error(&error))?;
        let seconds = start.elapsed().as_secs_f64();
        if let Some(file) = &args.per_doc {
            write_answers(file, &rows(&documents, &set, &answers, &scores))?;
        }
        let infeasible = set.infeasible().to_vec();
        for left_out in &infeasible {
            tell(&tasks::left_out(left_out));
        }
        let of_task = |((task, answers), score): ((&Task, &Vec<DocAnswer>), &Option<TaskScore>)| {
            TaskReport::new(task, answers, score.as_ref())
        };
        let texts = || answers.iter().flatten().filter_map(|answer| answer.text.as_ref());
        let known: Option<Vec<TaskScore>> = scores.iter().cloned().collect();
        Ok(Report {
            tasks: tasks.iter().zip(&answers).zip(&scores).map(of_task).collect(),
            mean: known.map(|scores| interval_of(&scores)),
            infeasible,
            docs: set.docs(),
            tokens: set.tokens(),
            written: texts().map(|text| text.tokens).sum(),
            truncated: texts().filter(|text| text.truncated).count(),
            threads,
            precision,
            load_seconds,
            seconds,
        })
    }

    fn docs_per_second(&self) -> f64 {
        self.docs as f64 / self.seconds
    }

    fn text(&self, args: &Args) -> String {
        let width = self.tasks.iter().map(|task| task.name.chars().count()).max().unwrap_or(0);
        let width = width.max("geometric mean".len());
        let mut text =
            format!("{} on {}, ×100 with 95 % interval\n", args.model, args.split.as_str());
        text.push_str(&format!(
            "{:<width$} {:>6} {:<16} {:>20}\n",
            "", "docs", "metric", "accuracy"
        ));
        self.tasks.iter().for_each(|task| text.push_str(&task.rows(width)));
        if let Some(mean) = self.mean {
            let (name, mean) = ("geometric mean", cell(mean));
            text.push_str(&format!("{name:<width$} {:>6} {:<16} {mean:>20}\n", self.docs, ""));
        }
        if self.truncated > 0 {
            text.push_str(&format!(
                "\n{} prompts were longer than the model reads and were cut at their beginning\n",
                self.truncated
            ));
        }
        text + &self.speed(args)
    }

    fn speed(&self, args: &Args) -> String {
        let written = match self.written {
            0 => String::new(),
            tokens => format!(", {tokens} written"),
        };
        format!(
            "\n{:.1} docs/s: {} documents ({} tokens read for likelihoods{written}) in {:.2} s on {} in {}; {:.2} s to load; {} at most\n",
            self.docs_per_second(),
            self.docs,
            self.tokens,
            self.seconds,
            scored::computer(&args.device, self.threads),
            self.precision,
            self.load_seconds,
            peak_memory()
        )
    }

    fn json(&self, args: &Args) -> String {
        let infeasible = |left_out: &InfeasibleMetric| json!({ "task": left_out.task, "metric": left_out.metric, "reason": left_out.reason.to_string() });
        let report = json!({
            "model": args.model,
            "device": args.device,
            "precision": self.precision,
            "split": args.split.as_str(),
            "docs": self.docs,
            "seconds": self.seconds,
            "docs_per_second": self.docs_per_second(),
            "load_seconds": self.load_seconds,
            "peak_bytes": peak_memory().0,
            "tokens": self.tokens,
            "tokens_written": self.written,
            "prompts_truncated": self.truncated,
            "threads": self.threads,
            "tasks": self.tasks.iter().map(TaskReport::json).collect::<Vec<_>>(),
            "infeasible": self.infeasible.iter().map(infeasible).collect::<Vec<_>>(),
            "geometric_mean": self.mean.map(|mean| mean.value),
            "geometric_mean_low": self.mean.map(|mean| mean.low),
            "geometric_mean_high": self.mean.map(|mean| mean.high),
        });
        format!("{report:#}\n")
    }
}

fn cell(mean: Estimate) -> String {
    format!("{:.1} [{:.1}, {:.1}]", 100.0 * mean.value, 100.0 * mean.low, 100.0 * mean.high)
}

/// One row per document and choice, or per document that is answered by a text.
fn rows(
    documents: &Documents,
    set: &ScoringSet,
    answers: &[Vec<DocAnswer>],
    scores: &[Option<TaskScore>],
) -> Vec<AnswerRow> {
    let mut rows = Vec::new();
    let of_tasks = documents.tasks.iter().zip(answers).zip(scores).enumerate();
    for (index, ((task, answers), score)) in of_tasks {
        for (doc, (question, answer)) in documents.of(index).iter().zip(answers).enumerate() {
            let row = AnswerRow {
                task: task.name.clone(),
                doc: doc as u32,
                file: question.place.file.display().to_string(),
                line: question.place.line as u32,
                id: question.id.clone(),
                target: question.answer.right().map(|right| right as u32),
                chosen: set.chosen(index, doc, answer).map(|chosen| chosen as u32),
                score: score.as_ref().and_then(|score| Some(score.items.get(doc)?.score)),
                text: answer.text.as_ref().map(|text| text.text.clone()),
                filtered: set.filtered(index, answer),
                ..AnswerRow::default()
            };
            rows.extend(rows_of(&row, answer, question.answer.choices().len()));
        }
    }
    rows
}

fn rows_of(row: &AnswerRow, answer: &DocAnswer, choices: usize) -> Vec<AnswerRow> {
    if choices == 0 {
        let (likelihood, tokens) = answer.reference.unzip();
        return vec![AnswerRow {
            log_likelihood: likelihood.map(f64::from),
            tokens: tokens.map(|tokens| tokens as u32),
            ..row.clone()
        }];
    }
    let of = |column, choice: usize| answer.of(column)?.get(choice).copied().map(f64::from);
    let tokens = |choice: usize| answer.choice_tokens.first()?.get(choice).copied();
    let of_choice = |choice: usize| AnswerRow {
        choice: Some(choice as u32),
        log_likelihood: of(Column::Conditional, choice),
        unconditional: of(Column::Unconditional, choice),
        kit: of(Column::Kit, choice),
        kit_fixed: of(Column::KitFixed, choice),
        tokens: tokens(choice).map(|tokens| tokens as u32),
        ..row.clone()
    };
    (0..choices).map(of_choice).collect()
}
