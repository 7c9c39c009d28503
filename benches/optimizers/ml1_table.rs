//! Regret on ML1 (`tests/optimizer/ml1`): plain evaluations, and the same number of documents spent with racing.

use merge_search::optimizer::OptimizerKind;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Report;
use super::compare::wilcoxon;
use super::ml1::Ml1;
use super::ml1_run::{DOCS, Found, Way, run};
use super::options::Options;
use super::quartiles::shown;

/// Weights and budget of each part of the table.
const CELLS: [(usize, usize); 3] = [(24, 500), (24, 2000), (96, 500)];
/// The first instance of the reference, and how many are shown unless others are asked for.
const FIRST: u64 = 1000;
const INSTANCES: u64 = 25;

/// What cmaes' optimizers recommend on instances 1000, 1001, … (`tests/reference/optimizers/ml1.py`).
#[derive(Deserialize)]
struct Reference {
    optimizer: String,
    dimension: usize,
    budget: usize,
    /// True F, by instance.
    value: Vec<f64>,
}

/// One way's outcomes, by instance.
struct Outcomes {
    runs: Vec<(u64, f64, Found)>,
}

impl Outcomes {
    /// Best F of the instance minus F of what is handed over: the recommended point, or the best observed where nothing
    /// is recommended.
    fn regrets(&self) -> Vec<f64> {
        self.runs.iter().map(|(_, best, found)| best - found.handed_over()).collect()
    }
}

pub fn table(options: &Options) -> Result<Report, String> {
    let reference: Vec<Reference> =
        serde_json::from_str(include_str!("../../tests/reference/optimizers/ml1.json"))
            .map_err(|error| format!("ml1.json: {error}"))?;
    let ways = ways(options)?;
    let mut report = Report { rows: Vec::new(), lines: Vec::new() };
    for (dimension, budget) in cells(options) {
        report.lines.push(format!(
            "ML1, {dimension} weights and 8 genes, {budget} evaluations' worth of documents ({DOCS} of each of 5 tasks); \
             regret of what is handed over: median [Q1, Q3]"
        ));
        for way in &ways {
            let outcomes = outcomes(way, dimension, budget, options);
            let regrets = outcomes.regrets();
            report.lines.push(format!("  {:34} {}", way.to_string(), shown(&regrets)));
            for peer in reference.iter().filter(|r| (r.dimension, r.budget) == (dimension, budget))
            {
                report.lines.extend(paired(&outcomes, peer));
            }
            let rows = outcomes.runs.iter().zip(&regrets);
            report.rows.extend(rows.map(|((instance, best, found), regret)| {
                row(way, *instance, dimension, budget, (*best, *regret), found)
            }));
        }
    }
    Ok(report)
}

fn cells(options: &Options) -> Vec<(usize, usize)> {
    match (options.dimension, options.budget) {
        (None, None) => CELLS.to_vec(),
        (dimension, budget) => {
            let known = CELLS.iter().filter(|(d, b)| {
                dimension.is_none_or(|own| own == *d) && budget.is_none_or(|own| own == *b)
            });
            let known: Vec<(usize, usize)> = known.copied().collect();
            match known.is_empty() {
                true => vec![(dimension.unwrap_or(24), budget.unwrap_or(500))],
                false => known,
            }
        }
    }
}

fn ways(options: &Options) -> Result<Vec<Way>, String> {
    let Some(name) = &options.optimizer else {
        return Ok(Way::ALL.to_vec());
    };
    let named: Vec<Way> =
        Way::ALL.into_iter().filter(|way| way.to_string().starts_with(name.as_str())).collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let kind: OptimizerKind = name.parse().map_err(|error| format!("--optimizer: {error}"))?;
    Ok(vec![Way::Plain(kind)])
}

fn outcomes(way: &Way, dimension: usize, budget: usize, options: &Options) -> Outcomes {
    let instances = options.instances.clone().unwrap_or(FIRST..FIRST + INSTANCES);
    let runs = instances
        .into_par_iter()
        .map(|instance| {
            let landscape = Ml1::new(instance, dimension);
            let best = landscape.best();
            (instance, best, run(*way, &landscape, dimension, budget, instance))
        })
        .collect();
    Outcomes { runs }
}

/// Beside one of cmaes' optimizers, on the instances that both have.
fn paired(ours: &Outcomes, peer: &Reference) -> Option<String> {
    let both: Vec<(f64, f64)> = ours
        .runs
        .iter()
        .filter_map(|(instance, best, found)| {
            let theirs = peer.value.get(usize::try_from(instance.checked_sub(FIRST)?).ok()?)?;
            Some((best - found.handed_over(), best - theirs))
        })
        .collect();
    let theirs: Vec<f64> = both.iter().map(|(_, theirs)| *theirs).collect();
    let differences: Vec<f64> = both.iter().map(|(a, b)| a - b).collect();
    let better = differences.iter().filter(|d| **d < 0.0).count();
    let line = format!(
        "  {:34} cmaes {} {}: better on {better} of {}, Wilcoxon p = {:.2e}",
        "",
        peer.optimizer,
        shown(&theirs),
        both.len(),
        wilcoxon(&differences)
    );
    (!both.is_empty()).then_some(line)
}

fn row(
    way: &Way,
    instance: u64,
    dimension: usize,
    budget: usize,
    (best, regret): (f64, f64),
    found: &Found,
) -> Value {
    json!({
        "optimizer": way.to_string(),
        "instance": instance,
        "dimension": dimension,
        "budget": budget,
        "regret": regret,
        "regret_recommended": found.recommended.map(|value| best - value),
        "regret_best_observed": best - found.best_observed,
        "optimism": found.claimed - found.best_observed,
        "genes_right": found.genes_right,
        "candidates": found.candidates,
        "documents": found.documents,
    })
}
