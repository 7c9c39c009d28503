//! The optimizers against other people's numbers: `cargo bench --bench optimizers -- --table NAME`.
//!
//! ```text
//! --table noise-free     evaluations to 1e-8 on five test functions, beside pycma's
//! --table ml1            regret on the synthetic merge landscape, beside cmaes' CatCMA, paired by instance
//! --table fronts         hypervolume of NSGA-II on ZDT and DTLZ, beside pymoo's
//! --table ml1-fronts     hypervolume of accuracy against time on the synthetic merge landscape
//! --table quickstart     documents that a search on the quickstart needs, beside mergekit-evolve's way
//! --optimizer NAME       only this one
//! --instances A..B       seeds, end exclusive (ml1: of the instances, from 1000 on by default)
//! --budget N             candidates' worth of documents, or evaluations
//! --dimension D          weights of ml1
//! --threads N            at once [default: all cores]
//! --json                 one array of rows {optimizer, instance, dimension, budget, regret, ...}
//! ```

mod compare;
mod documents;
mod fronts;
mod ml1_fronts;
mod ml1_run;
mod ml1_table;
mod noise_free;
mod options;
mod problems;
mod quartiles;
mod quickstart;

#[path = "../../tests/optimizer/ml1/mod.rs"]
mod ml1;

use merge_search::optimizer::Covariance;
use options::{Options, Table};
use rayon::prelude::*;
use serde_json::{Value, json};

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
        Table::NoiseFree => noise_free_table(options),
        Table::Ml1 => ml1_table::table(options),
        Table::Fronts => fronts::table(options),
        Table::Ml1Fronts => ml1_fronts::table(options),
        Table::Quickstart => quickstart::table(options),
    })
}

/// `--optimizer` names the covariance: cat-cma, cat-cma-diagonal or cat-cma-low-rank.
fn noise_free_table(options: &Options) -> Result<Report, String> {
    let covariance = match options.optimizer.as_deref() {
        None | Some("cat-cma") => Covariance::Full,
        Some("cat-cma-diagonal") => Covariance::Diagonal,
        Some("cat-cma-low-rank") => Covariance::LowRank,
        Some(other) => return Err(format!("--optimizer {other}: not in this table")),
    };
    let seeds = options.instances.clone().unwrap_or(0..25);
    let cells = noise_free::cells(options.dimension);
    let rows: Result<Vec<Vec<noise_free::Row>>, _> = cells
        .par_iter()
        .map(|(function, d)| {
            let name = [function.to_string()];
            noise_free::table(&name, &[*d], seeds.clone(), options.budget, covariance)
        })
        .collect();
    let rows = rows.map_err(|error| error.to_string())?.concat();
    let row = |row: &noise_free::Row| {
        json!({
            "optimizer": row.optimizer,
            "instance": row.instance,
            "dimension": row.dimension,
            "seed": row.seed,
            "budget": row.budget,
            "evaluations": row.evaluations,
            "spent": row.spent,
        })
    };
    Ok(Report { rows: rows.iter().map(row).collect(), lines: noise_free::summary(&rows) })
}
