//! `merge-search export RUN -o DIR`: the winner (or any trial) as a checkpoint or as a submission.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use merge_search::evaluate::{SecondOpinion, Verification, verify_export};
use merge_search::recipe::Recipe;
use merge_search::record::RunFolder;
use merge_search::submission::model_card;
use merge_search::units::Bytes;

use super::export_competition::{self, CompetitionArgs, Exported};
use super::export_place::{require_outside, require_writable};
use super::run_bench::RunBench;
use super::run_facts::run_facts;
use super::workbench::hub;
use super::{Failure, export_routed, merge, print, quickstart, run_models, tell, trials};

/// As `merge --shard-size` has it without being told.
const SHARD_SIZE: Bytes = Bytes(5_000_000_000);

/// Writes a run's winner as a merged checkpoint (safetensors, config, tokenizer, recipe, model card), or as a submission to the
/// LLM Merging competition
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Another trial than the winner, by its number
    #[arg(long, value_name = "N")]
    trial: Option<u64>,
    /// Folder to write; must not exist or be empty
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// What is written
    #[arg(long, value_enum, default_value_t = Format::Checkpoint)]
    format: Format,
    /// With --format competition: print a JSON object about what was written
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    competition: CompetitionArgs,
}

/// What an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A merged model in Hugging Face layout
    Checkpoint,
    /// The files that go into the starter kit of the LLM Merging competition
    Competition,
}

/// Exports and checks what was written against an independent implementation of the model.
pub fn run(args: &Args) -> Result<(), Failure> {
    require_one_format(args)?;
    let folder = RunFolder::open(&args.run)?;
    require_outside(&args.output, &args.run)?;
    if args.format == Format::Checkpoint {
        require_writable(&args.output)?;
    }
    if folder.manifest().space.path == quickstart::NAME {
        quickstart::unpack()?;
    }
    let trials = folder.trials()?;
    let (number, text) = trials::chosen(&trials, args.trial, &args.run)?;
    let recipe = Recipe::from_yaml(&text).map_err(|error| Failure::from_error(&error))?;
    if !recipe.prompts.is_empty() && args.format == Format::Checkpoint {
        let tasks: Vec<&str> = recipe.prompts.keys().map(String::as_str).collect();
        tell(&format!(
            "note: the scores are under other prompts for {}, which the export does not apply by itself: see `prompts` in the recipe",
            tasks.join(", ")
        ));
    }
    if args.format == Format::Competition {
        let exported = Exported { number, recipe: &recipe, run: &folder };
        return export_competition::run(&args.competition, &exported, &args.output, args.json);
    }
    let card = model_card(&recipe, Some(&run_facts(&folder, trials, number)?));
    if let Some(router) = &recipe.document_router {
        let output = &args.output;
        let difference = export_routed::write(&recipe, router, &folder, output, &card, SHARD_SIZE)?;
        return print(&format!(
            "wrote trial {number} to {}: {} merges, a gate, and routed.py, which runs them with torch and transformers\n\
             checked: a second implementation gives the merges' log-probabilities (largest difference {difference:.1e})\n",
            output.display(),
            1 + router.merges.len(),
        ));
    }
    run_models::open(&recipe.models(), &run_models::space(&folder)?, &folder, &hub())?;
    let bench = RunBench::of(&recipe, &folder)?;
    merge::write(&recipe, bench.tasks(), &args.output, &card, SHARD_SIZE, false)?;
    let Verification { difference, by } =
        verify_export(&args.output).map_err(|error| Failure::from_error(&error))?;
    let second = match by {
        SecondOpinion::CandleTransformers => "candle-transformers' own Llama",
        SecondOpinion::Operations => "our second executor (candle's tensor operations)",
    };
    let checked = format!(
        "checked: {second} gives the same log-probabilities (largest difference {difference:.1e})"
    );
    print(&format!("wrote trial {number} to {}\n{checked}\n", args.output.display()))
}

fn require_one_format(args: &Args) -> Result<(), Failure> {
    let option = args.competition.given().or(args.json.then_some("--json"));
    match (args.format, option) {
        (Format::Checkpoint, Some(option)) => Err(Failure::input(format!(
            "{option} is for submissions, and a checkpoint would be written"
        ))
        .remedy("add --format competition")),
        _ => Ok(()),
    }
}
