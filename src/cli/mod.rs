//! The command line: one file per command. What is printed, asked of the environment or turned into an exit code is here.

mod analyze;
mod check;
mod compared;
mod dry_run;
mod eval;
mod export;
mod export_competition;
mod export_defaults;
mod export_place;
mod export_prompts;
mod export_routed;
mod export_submission;
mod failure;
mod merge;
mod objectives;
mod offline_memory;
mod offline_models;
mod offline_tasks;
mod optimizer;
mod plan;
mod plan_offline;
mod predict;
mod prediction_model;
mod progress;
mod prompts;
mod published;
mod quickstart;
mod report;
mod run_bench;
mod run_facts;
mod run_models;
mod scored;
mod search;
mod submission_facts;
mod target;
mod tasks;
mod trials;
mod unchanged;
mod warm_start;
mod workbench;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Finds the best way to merge expert language models.
///
/// Without a command: searches. Without a SPACE: searches the built-in quickstart family.
#[derive(Debug, Parser)]
#[command(name = "merge-search", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    search: search::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plan(plan::Args),
    Analyze(analyze::Args),
    Export(export::Args),
    Merge(merge::Args),
    Eval(eval::Args),
    Check(check::Args),
    Predict(predict::Args),
}

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        None => search::run(&cli.search),
        Some(Command::Plan(args)) => plan::run(args),
        Some(Command::Analyze(args)) => analyze::run(args),
        Some(Command::Export(args)) => export::run(args),
        Some(Command::Merge(args)) => merge::run(args),
        Some(Command::Eval(args)) => eval::run(args),
        Some(Command::Check(args)) => check::run(args),
        Some(Command::Predict(args)) => predict::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Writes a line to standard error. Unlike `eprintln!` it does not panic where that is gone (a closed terminal or pipe):
/// a day's search must not die of a line that nobody can read.
pub fn tell(text: &str) {
    use std::io::Write;
    let _gone = writeln!(std::io::stderr(), "{text}");
}

/// Writes to standard output; a closed pipe (`| head`) is not an error of ours.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::input(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
