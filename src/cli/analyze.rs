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
    /// The most accurate member of the front that takes at most so many times the base model's time [default: the best at
    /// 0.5, 0.75, 1 and 1.25]
    #[arg(long, value_name = "TIMES", value_parser = super::objectives::limit)]
    max_relative_time: Option<f64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Reads and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut summary = Summary::load(&RunFolder::open(&args.run)?)?;
    if let Some(budget) = args.max_relative_time {
        summary.front = summary.front.within(budget);
    }
    if !args.json {
        return print(&summary.render());
    }
    let json = serde_json::to_string_pretty(&summary)
        .map_err(|error| Failure::input(error.to_string()))?;
    print(&format!("{json}\n"))
}
