//! Table A: evaluations until a candidate of noise-free functions reaches 1e-8, at the settings of
//! `tests/reference/optimizers/pycma.py`, whose numbers it is compared with.
//!
//! No bounds there: here the domain is 100 times as wide as the range the start is drawn from, so
//! that none is met. Every function restarts (BIPOP) once converged, in the reference Rastrigin only:
//! a run in a local optimum of the others is a failure there and the rest of its budget unused.

use std::f64::consts::{E, TAU};

use merge_search::genome::{Dimension, Domain, Gene, Genotype};
use merge_search::optimizer::{
    CatCma, Costs, Covariance, Optimizer, OptimizerError, Restarts, Settings,
};
use merge_search::units::Seed;

/// Functions of the table, in its order.
pub const FUNCTIONS: [Function; 5] = [
    Function { name: "sphere", f: sphere, high: 5.0 },
    Function { name: "ellipsoid", f: ellipsoid, high: 5.0 },
    Function { name: "rosenbrock", f: rosenbrock, high: 5.0 },
    Function { name: "ackley", f: ackley, high: 32.768 },
    Function { name: "rastrigin", f: rastrigin, high: 5.12 },
];

/// A candidate at or below it counts as the optimum.
const TARGET: f64 = 1e-8;
/// The domain is this many times as wide as the range of starts.
const WIDENING: f64 = 100.0;

/// A function to minimise, with its least value 0.
pub struct Function {
    pub name: &'static str,
    pub f: fn(&[f64]) -> f64,
    /// Starts are uniform in [-high, high].
    pub high: f64,
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub optimizer: String,
    /// Name of the function.
    pub instance: String,
    pub dimension: usize,
    pub seed: u64,
    /// Most evaluations.
    pub budget: usize,
    /// Evaluations, whole generations, until a candidate reached 1e-8; `None` when none did.
    pub evaluations: Option<usize>,
    /// Evaluations made in all, whole generations.
    pub spent: usize,
}

impl Function {
    /// Most evaluations, as in the reference.
    pub fn budget(&self, d: usize) -> usize {
        match (self.name == "rastrigin", d) {
            (false, _) => 10_000 * d,
            (true, ..=10) => 300_000,
            (true, ..=20) => 600_000,
            (true, _) => 1_000_000,
        }
    }

    /// The space whose start is that of seed `s`.
    fn space(&self, d: usize, s: u64) -> Vec<Dimension> {
        let bound = WIDENING * self.high;
        let mut state = 7000 + s;
        let mut dimension = |i: usize| Dimension {
            name: format!("x{i}"),
            domain: Domain::Continuous { low: -bound, high: bound },
            initial: Some(self.high * (2.0 * uniform(&mut state) - 1.0)),
        };
        (0..d).map(&mut dimension).collect()
    }

    fn settings(d: usize, covariance: Covariance) -> Settings {
        Settings {
            population: Some(4 + (3.0 * (d as f64).ln()) as usize),
            sigma: 0.3 / WIDENING,
            covariance,
            restarts: Restarts::Bipop,
            active: covariance != Covariance::LowRank,
            ..Settings::default()
        }
    }

    /// One run within `budget` evaluations.
    ///
    /// # Errors
    /// As [`CatCma::new`].
    pub fn run(
        &self,
        d: usize,
        s: u64,
        budget: usize,
        covariance: Covariance,
    ) -> Result<Row, OptimizerError> {
        let settings = Self::settings(d, covariance);
        let mut optimizer = CatCma::new(&self.space(d, s), Seed(s + 1), &settings)?;
        let (mut spent, mut reached) = (0, false);
        while spent < budget && !reached {
            let told: Vec<(Genotype, Costs)> =
                optimizer.ask().into_iter().map(|x| (x.clone(), self.cost(&x).into())).collect();
            spent += told.len();
            reached = told.iter().any(|(_, costs)| costs.first() <= TARGET);
            optimizer.tell(&told);
        }
        Ok(Row {
            optimizer: label(covariance).to_owned(),
            instance: self.name.to_owned(),
            dimension: d,
            seed: s,
            budget,
            evaluations: reached.then_some(spent),
            spent,
        })
    }

    fn cost(&self, genotype: &Genotype) -> f64 {
        let real = |gene: &Gene| if let Gene::Real(x) = gene { Some(*x) } else { None };
        (self.f)(&genotype.0.iter().filter_map(real).collect::<Vec<_>>())
    }
}

fn label(covariance: Covariance) -> &'static str {
    match covariance {
        Covariance::Full => "cat-cma",
        Covariance::Diagonal => "cat-cma-diagonal",
        Covariance::LowRank => "cat-cma-low-rank",
    }
}

/// The rows of `functions` (empty: all) at `dimensions` for `seeds`, at most `budget` evaluations each
/// or the reference's.
///
/// # Errors
/// As [`CatCma::new`].
pub fn table(
    functions: &[String],
    dimensions: &[usize],
    seeds: std::ops::Range<u64>,
    budget: Option<usize>,
    covariance: Covariance,
) -> Result<Vec<Row>, OptimizerError> {
    let asked = |f: &&Function| functions.is_empty() || functions.iter().any(|n| n == f.name);
    let mut rows = Vec::new();
    for function in FUNCTIONS.iter().filter(asked) {
        for &d in dimensions {
            for s in seeds.clone() {
                let budget = budget.unwrap_or_else(|| function.budget(d));
                rows.push(function.run(d, s, budget, covariance)?);
            }
        }
    }
    Ok(rows)
}

/// SplitMix64 (Steele, Lea & Flood 2014), 53 bits.
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 * 2.0_f64.powi(-53)
}

fn sphere(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

fn ellipsoid(x: &[f64]) -> f64 {
    let scale = |i: usize| 10.0_f64.powf(6.0 * i as f64 / (x.len() - 1) as f64);
    x.iter().enumerate().map(|(i, x)| scale(i) * x * x).sum()
}

fn rosenbrock(x: &[f64]) -> f64 {
    x.windows(2).map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2)).sum()
}

fn ackley(x: &[f64]) -> f64 {
    let mean = |f: fn(f64) -> f64| x.iter().map(|x| f(*x)).sum::<f64>() / x.len() as f64;
    let (square, wave) = (mean(|x| x * x), mean(|x| (TAU * x).cos()));
    -20.0 * (-0.2 * square.sqrt()).exp() - wave.exp() + 20.0 + E
}

fn rastrigin(x: &[f64]) -> f64 {
    x.iter().map(|x| 10.0 + x * x - 10.0 * (TAU * x).cos()).sum()
}
