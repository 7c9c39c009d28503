//! `merge-search predict RUN --data test.csv -o submission.csv`: the answers that the competition asks for.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args as ClapArgs;
use merge_search::evaluate::{Answering, Decided, DocIndex, SetError, peak_memory, ready_tasks};
use merge_search::model::device;
use merge_search::submission::competition::ChoiceScorer;
use merge_search::submission::predictions::{
    Answered, AskedRow, Comparison, Predicted, Prediction, WrittenRow, asked_rows, compare, read,
    write,
};
use merge_search::task::{OutputType, Prompt, Task};
use serde_json::{Value, json};

use super::prediction_model::PredictionModel;
use super::workbench::{WorkerArgs, hub, with_remedy};
use super::{Failure, compared, print, scored, tasks, tell};

/// Rows whose tokens and answers are in memory at a time.
const AT_ONCE: usize = 256;

/// Answers a CSV file of the competition's starter kit as its evaluation would
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Run folder, or as `eval` takes it: folder or hub id (`MODEL[@revision][+ADAPTER]`), recipe (.yaml, .yml), or .gguf file
    #[arg(value_name = "RUN")]
    model: String,
    /// Of a run: another trial than the winner, by its number
    #[arg(long, value_name = "N")]
    trial: Option<u64>,
    /// CSV file of the starter kit: id, input, eval_type and answer_choices
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// CSV file to write: id, prediction, dummy_field; must not exist
    #[arg(short, long, value_name = "FILE", required_unless_present = "compare")]
    output: Option<PathBuf>,
    /// Say where the predictions differ from those in this file
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// How choices are scored: kit, kit_fixed, acc, acc_norm [default: as the run's tasks are judged; without a run acc]
    #[arg(long, value_name = "NAME", value_parser = scorer)]
    scorer: Option<ChoiceScorer>,
    /// Tokens of a written answer at most [default: the run's, or 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_gen_toks: Option<u32>,
    /// Only the first N rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// What computes: cpu, or the GPU cuda or cuda:N, with bf16 as its default precision and --memory its own memory
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
    #[command(flatten)]
    machine: WorkerArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// No progress and no figures
    #[arg(long)]
    quiet: bool,
}

fn scorer(name: &str) -> Result<ChoiceScorer, String> {
    let valid = || ChoiceScorer::ALL.map(ChoiceScorer::as_str).join(", ");
    ChoiceScorer::named(name).ok_or_else(|| format!("unknown scorer; valid: {}", valid()))
}

/// Answers, writes and compares.
pub fn run(args: &Args) -> Result<(), Failure> {
    if let Some(output) = &args.output {
        scored::require_writable("-o", output)?;
    }
    let read = |file: &PathBuf| read(file).map_err(|error| Failure::from_error(&error));
    let theirs = args.compare.as_ref().map(read).transpose()?;
    let asked = Asked::read(args)?;
    let model = PredictionModel::open(&args.model, args.trial)?;
    let scorer = model.scorer(args.scorer, asked.choices() > 0)?;
    asked.tell(scorer, args);
    model.tell_prompts();
    let answers = Answers::of(args, &model, &asked, scorer)?;
    if let Some(output) = &args.output {
        write(output, &answers.predictions()).map_err(|error| Failure::from_error(&error))?;
    }
    let both = theirs.map(|theirs| compare(&answers.answered, &asked.among(theirs)));
    if !args.quiet {
        tell(&answers.figures(args));
    }
    let comparison = both.as_ref().zip(args.compare.as_ref());
    let said = match args.json {
        true => answers.json(args, &asked, scorer, comparison),
        false => answers.text(args, comparison),
    };
    print(&said)?;
    comparison.map_or(Ok(()), |(both, file)| compared::require_same_ids(both, file))
}

/// The file's rows.
struct Asked {
    /// As the file asks.
    tasks: Vec<Task>,
    /// Those that are answered.
    rows: Vec<AskedRow>,
    /// Those that --limit leaves out.
    left_out: Vec<AskedRow>,
}

impl Asked {
    fn read(args: &Args) -> Result<Self, Failure> {
        if args.data.extension().is_none_or(|extension| extension != "csv") {
            return Err(Failure::input(format!(
                "--data {}: expected a CSV file of the starter kit, named .csv",
                args.data.display()
            )));
        }
        let mut tasks = tasks::questions(&args.data)?;
        tasks.iter_mut().for_each(|task| task.cuts_prompts = true);
        let mut rows = asked_rows(&tasks).map_err(|error| Failure::from_error(&error))?;
        let limit = args.limit.map_or(usize::MAX, |limit| limit as usize);
        let left_out = rows.split_off(limit.min(rows.len()));
        Ok(Asked { tasks, rows, left_out })
    }

    fn choices(&self) -> usize {
        self.rows.iter().filter(|row| row.choices > 0).count()
    }

    fn texts(&self) -> usize {
        self.rows.len() - self.choices()
    }

    /// What is not as somebody might think.
    fn tell(&self, scorer: ChoiceScorer, args: &Args) {
        if args.scorer.is_none() && self.choices() > 0 {
            tell(&format!("note: choices are scored by {}", scorer.as_str()));
        }
        if !self.left_out.is_empty() {
            let (rows, all) = (self.rows.len(), self.rows.len() + self.left_out.len());
            tell(&format!(
                "note: only the first {rows} of {all} rows are answered (--limit); the predictions are no submission"
            ));
        }
    }

    /// As the class that is exported puts them.
    fn put(&self, scorer: ChoiceScorer, max_gen_toks: Option<usize>) -> Result<Vec<Task>, Failure> {
        let asked = |task: Task| {
            let mut task = match task.output_type {
                OutputType::MultipleChoice => task.judged_by(scorer.as_str())?,
                _ => task,
            };
            // Nothing else is reported.
            task.metrics.truncate(1);
            let own = task.prompt.clone();
            let max_gen_toks = max_gen_toks.unwrap_or(own.max_gen_toks);
            task.with_prompt(Prompt { max_gen_toks, ..own }, None)
        };
        let tasks: Result<Vec<Task>, _> = self.tasks.iter().cloned().map(asked).collect();
        tasks.map_err(|error| Failure::from_error(&error))
    }

    /// Without the rows that --limit leaves out here.
    fn among(&self, mut theirs: Vec<WrittenRow>) -> Vec<WrittenRow> {
        theirs.retain(|row| self.left_out.iter().all(|left_out| left_out.id != row.id));
        theirs
    }
}

/// What the model answered, and what that took.
struct Answers {
    answered: Vec<Answered>,
    /// Of written answers.
    tokens: usize,
    /// Prompts that were cut at their beginning.
    truncated: usize,
    threads: usize,
    precision: &'static str,
    load_seconds: f64,
    /// Wall clock of tokenizing and answering.
    seconds: f64,
}

impl Answers {
    fn of(
        args: &Args,
        model: &PredictionModel,
        asked: &Asked,
        scorer: ChoiceScorer,
    ) -> Result<Self, Failure> {
        let device = device::open(&args.device).map_err(|error| Failure::from_error(&error))?;
        let machine = scored::machine_of(&args.machine, device.is_cuda());
        let max_gen_toks = model.max_gen_toks(args.max_gen_toks, asked.texts() > 0)?;
        let tasks = asked.put(scorer, max_gen_toks)?;
        let (threads, pool) = (machine.count(), machine.pool()?);
        let (resources, precision) = (machine.resources(), machine.precision());
        let start = Instant::now();
        let device = (!device.is_cpu()).then_some(&device);
        let of_router = model.router_tasks()?;
        let ready = model.source().load(&hub(), &resources, device, &pool, &of_router);
        let ready = model.fitted(ready.map_err(scored::unusable)?, &of_router, &pool)?;
        let load_seconds = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let answering = Answering {
            model: &ready,
            tasks: &ready_tasks(&tasks, &ready.folder)?,
            prompts: &ready_tasks(&asked.tasks, &ready.folder)?,
            room: ready.room(&resources, threads),
            pool: &pool,
            at_once: AT_ONCE,
        };
        let decided = decide(&answering, &asked.rows, args.quiet)?;
        let texts = || decided.iter().filter_map(|own| own.text.as_ref());
        Ok(Answers {
            tokens: texts().map(|text| text.tokens).sum(),
            truncated: decided.iter().filter(|own| own.truncated).count(),
            answered: asked.rows.iter().zip(&decided).map(answered).collect(),
            threads,
            precision,
            load_seconds,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    fn predictions(&self) -> Vec<Prediction> {
        let prediction =
            |own: &Answered| Prediction { id: own.id.clone(), answer: own.answer.clone() };
        self.answered.iter().map(prediction).collect()
    }

    fn rows_per_second(&self) -> f64 {
        self.answered.len() as f64 / self.seconds
    }

    /// For standard error.
    fn figures(&self, args: &Args) -> String {
        let mut said = format!(
            "{} rows ({} tokens written) in {:.2} s on {} in {}: {:.1} rows/s; {:.2} s to load; {} at most",
            self.answered.len(),
            self.tokens,
            self.seconds,
            scored::computer(&args.device, self.threads),
            self.precision,
            self.rows_per_second(),
            self.load_seconds,
            peak_memory()
        );
        if self.truncated > 0 {
            said.push_str(&format!(
                "\n{} prompts were longer than the model reads and were cut at their beginning",
                self.truncated
            ));
        }
        said
    }

    fn text(&self, args: &Args, comparison: Option<(&Comparison, &PathBuf)>) -> String {
        let written =
            |file: &PathBuf| format!("wrote {} rows to {}\n", self.answered.len(), file.display());
        let written = args.output.as_ref().map(written).unwrap_or_default();
        written + &comparison.map(|(both, file)| compared::text(both, file)).unwrap_or_default()
    }

    fn json(
        &self,
        args: &Args,
        asked: &Asked,
        scorer: ChoiceScorer,
        comparison: Option<(&Comparison, &PathBuf)>,
    ) -> String {
        let report: Value = json!({
            "model": args.model,
            "data": args.data,
            "output": args.output,
            "device": args.device,
            "precision": self.precision,
            "threads": self.threads,
            "rows": self.answered.len(),
            "choices": asked.choices(),
            "texts": asked.texts(),
            "scorer": (asked.choices() > 0).then(|| scorer.as_str()),
            "tokens_written": self.tokens,
            "prompts_truncated": self.truncated,
            "seconds": self.seconds,
            "rows_per_second": self.rows_per_second(),
            "load_seconds": self.load_seconds,
            "peak_bytes": peak_memory().0,
            "comparison": comparison.map(|(both, file)| compared::json(both, file)),
        });
        format!("{report:#}\n")
    }
}

/// In the order of the rows. Whatever cannot be answered is found before anything is.
fn decide(answering: &Answering, rows: &[AskedRow], quiet: bool) -> Result<Vec<Decided>, Failure> {
    let docs: Vec<DocIndex> =
        rows.iter().map(|row| DocIndex { task: row.task, doc: row.doc }).collect();
    let answers = answering.check(&docs).map_err(unanswerable)?;
    let bar = scored::progress_bar(answers, quiet);
    let progress = |answers: usize| bar.inc(answers as u64);
    let decided = answering.decide(&docs, Some(&progress));
    bar.finish_and_clear();
    decided.map_err(|error| Failure::from_error(&error))
}

fn unanswerable(error: SetError) -> Failure {
    let is_of_choices = |metric: &str| ChoiceScorer::named(metric).is_some();
    match &error {
        SetError::Infeasible(left_out) if is_of_choices(left_out.metric) => {
            Failure::from_error(&error)
                .remedy("score choices in another way: --scorer kit_fixed or --scorer acc")
        }
        _ => with_remedy(error.into()),
    }
}

fn answered((row, decided): (&AskedRow, &Decided)) -> Answered {
    let text = decided.text.as_ref().map(|text| text.text.clone()).unwrap_or_default();
    let answer = decided.chosen().map_or(Predicted::Text(text), Predicted::Choice);
    Answered { id: row.id.clone(), answer, margin: decided.margin() }
}
