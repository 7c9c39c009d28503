//! Hypervolume on ZDT and DTLZ2 beside pymoo's NSGA-II: population 100, 250 generations, reference point 1.1 everywhere.

use merge_search::genome::{Dimension, Domain, Gene, Genotype};
use merge_search::objective::dominated_volume;
use merge_search::optimizer::{Costs, OptimizerKind, Settings, build};
use merge_search::units::Seed;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::Report;
use super::options::Options;
use super::problems::Problem;
use super::quartiles::quartiles;

const POPULATION: usize = 100;
const BUDGET: usize = 25_000;
const SEEDS: u64 = 11;
const END: f64 = 1.1;

/// What pymoo reaches (`tests/reference/optimizers/pymoo_nsga2.py`).
#[derive(Deserialize)]
struct Reference {
    problem: String,
    dimension: usize,
    q1: f64,
    median: f64,
    q3: f64,
}

pub fn table(options: &Options) -> Result<Report, String> {
    let reference: Vec<Reference> =
        serde_json::from_str(include_str!("../../tests/reference/optimizers/pymoo_nsga2.json"))
            .map_err(|error| format!("pymoo_nsga2.json: {error}"))?;
    let kind = match &options.optimizer {
        Some(name) => name.parse().map_err(|error| format!("--optimizer: {error}"))?,
        None => OptimizerKind::Nsga2,
    };
    let mut report =
        Report { rows: Vec::new(), lines: vec![format!("{kind}: hypervolume, median [Q1, Q3]")] };
    for peer in &reference {
        add(&mut report, kind, peer, options)?;
    }
    Ok(report)
}

fn add(
    report: &mut Report,
    kind: OptimizerKind,
    peer: &Reference,
    options: &Options,
) -> Result<(), String> {
    let problem = Problem::ALL.into_iter().find(|problem| problem.name() == peer.problem);
    let problem = problem.ok_or(format!("pymoo_nsga2.json: no problem {}", peer.problem))?;
    let seeds = options.instances.clone().unwrap_or(0..SEEDS);
    let budget = options.budget.unwrap_or(BUDGET);
    let dimension = options.dimension.unwrap_or(peer.dimension);
    let volumes: Vec<(u64, f64)> = seeds
        .into_par_iter()
        .map(|seed| Ok((seed, volume(kind, problem, dimension, budget, seed)?)))
        .collect::<Result<_, String>>()?;
    let [low, median, high] =
        quartiles(&volumes.iter().map(|(_, volume)| *volume).collect::<Vec<_>>());
    report.lines.push(format!(
        "  {:6} {median:.5} [{low:.5}, {high:.5}]   pymoo {:.5} [{:.5}, {:.5}]",
        peer.problem, peer.median, peer.q1, peer.q3
    ));
    report.rows.extend(volumes.into_iter().map(|(seed, volume)| {
        json!({
            "optimizer": kind.to_string(), "problem": peer.problem, "instance": seed, "dimension": dimension,
            "budget": budget, "hypervolume": volume,
        })
    }));
    Ok(())
}

/// Of what is recommended after the whole generations within `budget`.
fn volume(
    kind: OptimizerKind,
    problem: Problem,
    dimension: usize,
    budget: usize,
    seed: u64,
) -> Result<f64, String> {
    let real = |i: usize| Dimension {
        name: format!("x{i}"),
        domain: Domain::Continuous { low: 0.0, high: 1.0 },
        initial: None,
    };
    let space: Vec<Dimension> = (0..dimension).map(real).collect();
    let objectives = problem.objectives();
    let settings = Settings { population: Some(POPULATION), objectives, ..Settings::default() };
    let mut optimizer =
        build(kind, &space, Seed(seed), &settings).map_err(|error| error.to_string())?;
    let costs = |genotype: &Genotype| problem.costs(&reals(genotype));
    let mut evaluated = 0;
    while evaluated + optimizer.population_size() <= budget {
        let told: Vec<(Genotype, Costs)> = (optimizer.ask().into_iter())
            .map(|genotype| {
                let values = costs(&genotype);
                (genotype, Costs { values, ..Costs::default() })
            })
            .collect();
        evaluated += told.len();
        optimizer.tell(&told);
    }
    let front: Vec<Vec<f64>> = optimizer.recommend().iter().map(costs).collect();
    Ok(dominated_volume(&front, &vec![END; objectives]))
}

fn reals(genotype: &Genotype) -> Vec<f64> {
    let real = |gene: &Gene| if let Gene::Real(x) = gene { Some(*x) } else { None };
    genotype.0.iter().filter_map(real).collect()
}
