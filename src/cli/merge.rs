//! `merge-search merge RECIPE.yaml -o DIR`: one merge from a mergekit recipe.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{GateError, PlanError, Pool, open_checkpoint, plan_merge};
use merge_search::merge::MergePlan;
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::submission::{Output, model_card, output_tensors, write_merged};
use merge_search::task::Task;
use merge_search::units::Bytes;
use serde_json::json;

use super::workbench::hub;
use super::{Failure, print, tasks, tell};

/// Builds a checkpoint from a mergekit recipe
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// mergekit configuration (YAML); relative paths in it are taken from the current folder
    recipe: PathBuf,
    /// Folder to write; must not exist or be empty
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Largest weight file, in bytes or with k, M or G (10^3, 10^6, 10^9)
    #[arg(long, value_name = "SIZE", default_value = "5G", value_parser = bytes)]
    shard_size: Bytes,
    /// Task whose prompts the recipe's token router names; may be given several times
    #[arg(long = "task", value_name = "TASK")]
    tasks: Vec<PathBuf>,
    /// Print a JSON object about what was written
    #[arg(long)]
    json: bool,
    /// No progress and no notes
    #[arg(long)]
    quiet: bool,
}

/// A number of bytes as `--shard-size` takes it.
pub fn bytes(text: &str) -> Result<Bytes, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].trim_end_matches('B') {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        other => return Err(format!("unknown unit `{other}`; valid: k, M, G")),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a whole number".to_owned())?;
    match number.checked_mul(factor) {
        Some(bytes) if bytes > 0 => Ok(Bytes(bytes)),
        _ => Err("expected a positive size".to_owned()),
    }
}

/// What was written.
pub struct Written {
    tensors: usize,
    elements: usize,
    bytes: Bytes,
    seconds: f64,
}

/// Merges and writes.
pub fn run(args: &Args) -> Result<(), Failure> {
    let recipe = Recipe::read(&args.recipe).map_err(|error| Failure::from_error(&error))?;
    let tasks = tasks::load(&args.tasks)?;
    let card = model_card(&recipe, None);
    let written = write(&recipe, &tasks, &args.output, &card, args.shard_size, args.quiet)?;
    let (output, Written { tensors, elements, bytes, seconds }) = (&args.output, written);
    if args.json {
        let summary = json!({
            "output": output, "tensors": tensors, "parameters": elements, "bytes": bytes.0, "seconds": seconds
        });
        return print(&format!("{summary:#}\n"));
    }
    let size = format!("{tensors} tensors, {elements} parameters, {bytes}");
    print(&format!("wrote {} ({size}) in {seconds:.1} s\n", output.display()))
}

/// Opens the recipe's models and writes the merged checkpoint. `tasks` are those whose prompts a token router may name.
pub fn write(
    recipe: &Recipe,
    tasks: &[Task],
    output: &Path,
    card: &str,
    shard_size: Bytes,
    quiet: bool,
) -> Result<Written, Failure> {
    let start = Instant::now();
    let hub = hub();
    let open = |model: &&ModelRef| -> Result<(ModelRef, Checkpoint), Failure> {
        Ok(((*model).clone(), open_checkpoint(model, &hub)?))
    };
    let models = recipe.models().iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let models: Vec<(ModelRef, &Checkpoint)> =
        models.iter().map(|(name, checkpoint)| (name.clone(), checkpoint)).collect();
    let plan = plan(recipe, &models, tasks)?;
    if !quiet {
        tell_notes(recipe, &plan);
    }
    for (_, checkpoint) in &models {
        checkpoint.require_finite().map_err(|error| Failure::from_error(&error))?;
    }
    let tensors = output_tensors(recipe, &plan);
    let elements = tensors.iter().map(|tensor| tensor.elements()).sum();
    let size = tensors.iter().map(|tensor| (tensor.elements() * tensor.dtype.size()) as u64).sum();
    let bar = progress_bar(size, quiet);
    let progress = |Bytes(more): Bytes| bar.inc(more);
    let layout = Output { dir: output, card, shard_size, progress: &progress };
    let result = write_merged(recipe, &plan, &layout);
    bar.finish_and_clear();
    result.map_err(|error| Failure::from_error(&error))?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Written { tensors: tensors.len(), elements, bytes: Bytes(size), seconds })
}

pub(super) fn plan<'a>(
    recipe: &Recipe,
    models: &[(ModelRef, &'a Checkpoint)],
    tasks: &[Task],
) -> Result<MergePlan<'a>, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let pool = Pool::new(cores).map_err(|error| Failure::from_error(&error))?;
    plan_merge(recipe, models, tasks, &pool).map_err(|error| {
        let failure = Failure::from_error(&error);
        match error {
            PlanError::Gate(GateError::NoTask { .. }) => {
                failure.remedy("name the task's file with --task")
            }
            _ => failure,
        }
    })
}

fn tell_notes(recipe: &Recipe, plan: &MergePlan) {
    let architecture = plan.architecture();
    if !architecture.is_known() {
        tell(&format!(
            "note: the architecture `{}` is not known; what its tensors are for is read off their names",
            architecture.family()
        ));
    }
    for parameter in plan.unused_parameters() {
        tell(&format!(
            "note: {} has no parameter `{parameter}`; it has no effect",
            recipe.merge_method
        ));
    }
    if !recipe.merge_method.is_mergekits() {
        tell(&format!("note: mergekit has no method `{}`", recipe.merge_method));
    }
}

fn progress_bar(size: u64, quiet: bool) -> ProgressBar {
    let on_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr()) && !quiet;
    let target =
        if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(size), target);
    let template = "{bar:30} {percent:>3}% {decimal_bytes} of {decimal_total_bytes}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
