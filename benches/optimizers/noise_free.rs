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

/// Functions and dimensions of the table, those of Rastrigin that take minutes left out; with `dimension`, all functions
/// at that one.
pub fn cells(dimension: Option<usize>) -> Vec<(&'static str, usize)> {
    let names = FUNCTIONS.iter().map(|function| function.name);
    match dimension {
        Some(d) => names.map(|name| (name, d)).collect(),
        None => PYCMA.iter().map(|peer| (peer.function, peer.dimension)).collect(),
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

/// What pycma 4.5.0 needs: 25 seeds from `tests/reference/optimizers/pycma.json`, fewer from an earlier
/// run at the same settings.
struct Reference {
    function: &'static str,
    dimension: usize,
    seeds: usize,
    success: f64,
    /// Median evaluations of the runs that succeeded.
    median: f64,
}

const fn reference(
    function: &'static str,
    dimension: usize,
    seeds: usize,
    success: f64,
    median: f64,
) -> Reference {
    Reference { function, dimension, seeds, success, median }
}

const PYCMA: [Reference; 13] = [
    reference("sphere", 10, 25, 1.0, 1490.0),
    reference("sphere", 20, 25, 1.0, 2796.0),
    reference("sphere", 40, 25, 1.0, 5340.0),
    reference("ellipsoid", 10, 25, 1.0, 4070.0),
    reference("ellipsoid", 20, 25, 1.0, 13008.0),
    reference("ellipsoid", 40, 5, 1.0, 48645.0),
    reference("rosenbrock", 10, 25, 0.96, 5615.0),
    reference("rosenbrock", 20, 25, 0.88, 17142.0),
    reference("rosenbrock", 40, 3, 0.67, 60802.0),
    reference("ackley", 10, 25, 0.84, 3130.0),
    reference("ackley", 20, 25, 0.68, 5640.0),
    reference("ackley", 40, 5, 0.80, 10305.0),
    reference("rastrigin", 10, 5, 1.0, 96950.0),
];

/// One line per function and dimension of `rows`: share of runs that reached the target, their median
/// evaluations, and both beside pycma's.
pub fn summary(rows: &[Row]) -> Vec<String> {
    let same = |a: &Row, b: &Row| a.instance == b.instance && a.dimension == b.dimension;
    rows.chunk_by(same).map(line).collect()
}

fn line(cell: &[Row]) -> String {
    let Row { optimizer, instance, dimension, .. } = &cell[0];
    let mut counts: Vec<usize> = cell.iter().filter_map(|row| row.evaluations).collect();
    counts.sort_unstable();
    let success = counts.len() as f64 / cell.len() as f64;
    let ours = format!("{optimizer} {instance} d{dimension}: {success:.2} of {}", cell.len());
    let Some(median) = median(&counts) else { return ours };
    let pycma = PYCMA.iter().find(|r| r.function == instance && r.dimension == *dimension);
    let beside = pycma.map_or_else(String::new, |r| {
        let ratio = median / r.median;
        format!("; pycma {:.2} of {}, median {}, ratio {ratio:.3}", r.success, r.seeds, r.median)
    });
    format!("{ours}, median {median}{beside}")
}

/// The mean of the middle two of an even number; `None` of nothing.
fn median(sorted: &[usize]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)? as f64;
    if sorted.len() % 2 == 1 {
        Some(upper)
    } else {
        Some(0.5 * (sorted[middle - 1] as f64 + upper))
    }
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
