//! `merge-search analyze RUN`: tables from a run folder, finished or not.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use merge_search::analysis::Summary;
use merge_search::record::RunFolder;

use super::{Failure, print};

/// Prints baselines, Pareto front and convergence of a run
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Reads and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    let summary = Summary::load(&RunFolder::open(&args.run)?)?;
    if !args.json {
        return print(&summary.render());
    }
    let json = serde_json::to_string_pretty(&summary)
        .map_err(|error| Failure::input(error.to_string()))?;
    print(&format!("{json}\n"))
}
