//! The optimizers against laws they must obey and against other people's numbers.

mod adapter;
mod baselines;
mod coarse;
mod construction;
mod covariances;
mod fronts;
mod functions;
mod laws;
pub mod ml1;
mod ml1_vectors;
mod regret;
mod restarts;
mod warm_start;

use merge_search::genome::{Dimension, Domain, Gene, Genotype};
use merge_search::optimizer::OptimizerKind;

const KINDS: [OptimizerKind; OptimizerKind::ALL.len()] = OptimizerKind::ALL;

fn real(name: &str, low: f64, high: f64) -> Dimension {
    Dimension { name: name.to_owned(), domain: Domain::Continuous { low, high }, initial: None }
}

fn integer(name: &str, low: i64, high: i64) -> Dimension {
    Dimension { name: name.to_owned(), domain: Domain::Integer { low, high }, initial: None }
}

fn category(name: &str, choices: usize) -> Dimension {
    let choices = (0..choices).map(|k| k.to_string()).collect();
    Dimension { name: name.to_owned(), domain: Domain::Categorical { choices }, initial: None }
}

/// The continuous genes of a genotype, in order.
fn reals(genotype: &Genotype) -> Vec<f64> {
    genotype
        .0
        .iter()
        .filter_map(|gene| if let Gene::Real(x) = gene { Some(*x) } else { None })
        .collect()
}

/// The integer genes of a genotype, in order.
fn integers(genotype: &Genotype) -> Vec<i64> {
    genotype
        .0
        .iter()
        .filter_map(|gene| if let Gene::Integer(z) = gene { Some(*z) } else { None })
        .collect()
}

/// The categorical genes of a genotype, in order.
fn categories(genotype: &Genotype) -> Vec<usize> {
    genotype
        .0
        .iter()
        .filter_map(|gene| if let Gene::Category(k) = gene { Some(*k) } else { None })
        .collect()
}

/// The benchmark's Wilcoxon test.
#[path = "../../benches/optimizers/compare.rs"]
mod compare;
mod wilcoxon;
