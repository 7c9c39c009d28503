//! `merge-search export RUN -o DIR`: the winner (or any trial) as a checkpoint.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use merge_search::evaluate::{SecondOpinion, Verification, verify_export};
use merge_search::merge::token_router;
use merge_search::recipe::{Prompts, Recipe};
use merge_search::record::{RunFolder, Trial, TrialKind};
use merge_search::space::SearchSpace;
use merge_search::submission::{CardScore, model_card};
use merge_search::task::Task;
use merge_search::units::{Bytes, Split};

use super::workbench::SpaceSource;
use super::{Failure, export_routed, merge, print, quickstart, tasks, tell, trials};

/// As `merge --shard-size` has it without being told.
const SHARD_SIZE: Bytes = Bytes(5_000_000_000);

/// Writes a run's winner as a merged checkpoint (safetensors, config, tokenizer, recipe, model card)
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
}

/// Exports and checks what was written against an independent implementation of the model.
pub fn run(args: &Args) -> Result<(), Failure> {
    let folder = RunFolder::open(&args.run)?;
    if folder.manifest().space.path == quickstart::NAME {
        quickstart::unpack()?;
    }
    let trials = folder.trials()?;
    let (number, text) = trials::chosen(&trials, args.trial, &args.run)?;
    let recipe = Recipe::from_yaml(&text).map_err(|error| Failure::from_error(&error))?;
    let tasks: Vec<String> = folder.manifest().task_names().map(str::to_owned).collect();
    let card = model_card(&recipe, &tasks, &scores(&trials, number));
    if !recipe.prompts.is_empty() {
        let tasks: Vec<&str> = recipe.prompts.keys().map(String::as_str).collect();
        tell(&format!(
            "note: the scores are under other prompts for {}, which the export does not apply by itself: see `prompts` in the recipe",
            tasks.join(", ")
        ));
    }
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
    let prompts = router_tasks(&recipe, &folder)?;
    merge::write(&recipe, &prompts, &args.output, &card, SHARD_SIZE, false)?;
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

/// The run's tasks, where the recipe's token router names some of them.
fn router_tasks(recipe: &Recipe, folder: &RunFolder) -> Result<Vec<Task>, Failure> {
    let experts = token_router(recipe).map_or(&[][..], |router| &router.experts);
    if !experts.iter().any(|expert| matches!(expert.positive_prompts, Prompts::Task(_))) {
        return Ok(Vec::new());
    }
    let space = &folder.manifest().space;
    let source = SpaceSource::recorded(&space.path, &space.text)?;
    tasks::load(&SearchSpace::parse(&source.text, &source.file)?.tasks)
}

/// Baselines and the exported trial.
fn scores(trials: &[Trial], exported: u64) -> Vec<CardScore> {
    let mut numbers: Vec<u64> = trials
        .iter()
        .filter(|trial| trial.kind == TrialKind::Baseline)
        .map(|trial| trial.trial)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let named = |number: u64| trials.iter().find(|trial| trial.trial == number)?.name.clone();
    let mut scores: Vec<CardScore> = numbers
        .into_iter()
        .map(|number| score(trials, number, named(number).unwrap_or_default()))
        .collect();
    scores.push(score(trials, exported, "this model".to_owned()));
    scores
}

fn score(trials: &[Trial], number: u64, name: String) -> CardScore {
    let on = |split| {
        let rows = trials.iter().filter(|trial| trial.trial == number && trial.split == split);
        // Of a race the row with all documents, or else the latest.
        let latest = rows.max_by_key(|trial| (trial.docs.is_none(), trial.rung));
        latest.and_then(|trial| trial.geometric_mean).map(|mean| 100.0 * mean.value)
    };
    CardScore { name, geometric_means: Split::ALL.map(on) }
}
