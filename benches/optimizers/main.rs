//! The optimizers against other people's numbers: `cargo bench --bench optimizers -- --table NAME`.
//!
//! ```text
//! --table noise-free     evaluations to 1e-8 on five test functions, beside pycma's
//! --table ml1            regret on the synthetic merge landscape, beside cmaes' CatCMA, paired by instance
//! --table fronts         hypervolume of NSGA-II on ZDT and DTLZ, beside pymoo's
//! --table ml1-fronts     hypervolume of accuracy against time on the synthetic merge landscape
//! --table quickstart     documents that the quickstart's search needs, beside mergekit-evolve's way
//! --optimizer NAME       only this one
//! --instances A..B       seeds, end exclusive (ml1: of the instances, from 1000 on by default)
//! --budget N             candidates' worth of documents, or evaluations
//! --dimension D          weights of ml1
//! --threads N            at once [default: all cores]
//! --json                 one array of rows {optimizer, instance, dimension, budget, regret, ...}
//! ```

mod compare;
mod ml1_run;
mod ml1_table;
mod options;
mod quartiles;

#[path = "../../tests/optimizer/ml1/mod.rs"]
mod ml1;

use options::{Options, Table};
use serde_json::Value;

/// One run, and lines for people that sum up many.
pub struct Report {
    pub rows: Vec<Value>,
    pub lines: Vec<String>,
}

fn main() {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    };
    match report(&options) {
        Ok(report) if options.json => println!("{:#}", Value::Array(report.rows)),
        Ok(report) => report.lines.iter().for_each(|line| println!("{line}")),
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(1);
        }
    }
}

fn report(options: &Options) -> Result<Report, String> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build();
    let pool = pool.map_err(|error| error.to_string())?;
    pool.install(|| match options.table {
        Table::Ml1 => ml1_table::table(options),
    })
}
