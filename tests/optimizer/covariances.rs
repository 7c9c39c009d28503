//! CMA-ES with full, diagonal and low-rank covariance and with negative weights: the laws each obeys
//! and what each is for.

use merge_search::genome::{Dimension, Genotype};
use merge_search::optimizer::{CatCma, Costs, Covariance, Optimizer, OptimizerError, Settings};
use merge_search::units::Seed;
use proptest::prelude::*;

use super::ml1::SplitMix64;
use super::{category, integer, real, reals};

const SHAPES: [(Covariance, bool); 5] = [
    (Covariance::Full, false),
    (Covariance::Full, true),
    (Covariance::Diagonal, false),
    (Covariance::Diagonal, true),
    (Covariance::LowRank, false),
];

fn with(covariance: Covariance, active: bool) -> Settings {
    Settings { covariance, active, ..Settings::default() }
}

/// `d` reals within ±100 that start at 1, with an initial standard deviation of 1.
fn started(d: usize, s: u64, covariance: Covariance, active: bool) -> CatCma {
    let from = |i: usize| Dimension { initial: Some(1.0), ..real(&format!("x{i}"), -100.0, 100.0) };
    let space: Vec<Dimension> = (0..d).map(from).collect();
    let population = Some(4 + (3.0 * (d as f64).ln()) as usize);
    let settings = Settings { population, sigma: 0.005, ..with(covariance, active) };
    CatCma::new(&space, Seed(s), &settings).unwrap()
}

/// Evaluations until `f` ≤ 1e-8.
fn evaluations(mut optimizer: CatCma, f: impl Fn(&[f64]) -> f64) -> usize {
    for generation in 1..20_000 {
        let told: Vec<(Genotype, Costs)> =
            optimizer.ask().into_iter().map(|x| (x.clone(), f(&reals(&x)).into())).collect();
        if told.iter().any(|(_, costs)| costs.first() <= 1e-8) {
            return generation * told.len();
        }
        optimizer.tell(&told);
    }
    usize::MAX
}

/// Median over 7 seeds.
fn median(d: usize, covariance: Covariance, active: bool, f: fn(&[f64]) -> f64) -> usize {
    let mut counts: Vec<usize> =
        (0..7).map(|s| evaluations(started(d, s, covariance, active), f)).collect();
    counts.sort_unstable();
    println!("{covariance:?}, active {active}: {counts:?}");
    counts[3]
}

fn ellipsoid(x: &[f64]) -> f64 {
    let scale = |i: usize| 10.0_f64.powf(6.0 * i as f64 / (x.len() - 1) as f64);
    x.iter().enumerate().map(|(i, x)| scale(i) * x * x).sum()
}

/// One long axis, along the diagonal of the space: a million times less costly than the others.
fn cigar(x: &[f64]) -> f64 {
    let along = x.iter().sum::<f64>() / (x.len() as f64).sqrt();
    let all: f64 = x.iter().map(|x| x * x).sum();
    along * along + 1e6 * (all - along * along).max(0.0)
}

/// An ellipsoid whose axes are the coordinates' times a Householder reflection.
fn rotated(x: &[f64]) -> f64 {
    let u: Vec<f64> = (0..x.len()).map(|i| 1.0 + (i % 3) as f64).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let shift = 2.0 * dot(x, &u) / dot(&u, &u);
    ellipsoid(&x.iter().zip(&u).map(|(x, u)| x - shift * u).collect::<Vec<_>>())
}

/// Ros & Hansen 2008, figure 2: sep-CMA-ES needs a fraction of CMA-ES's evaluations on a separable
/// ellipsoid.
#[test]
fn diagonal_is_faster_where_genes_are_independent() {
    let full = median(20, Covariance::Full, false, ellipsoid);
    let diagonal = median(20, Covariance::Diagonal, false, ellipsoid);
    assert!(2 * diagonal < full, "{diagonal} {full}");
}

/// The same ellipsoid turned is no harder for CMA-ES (rotational invariance).
#[test]
fn rotation_does_not_matter_to_the_full_covariance() {
    for active in [false, true] {
        let straight = median(10, Covariance::Full, active, ellipsoid) as f64;
        let turned = median(10, Covariance::Full, active, rotated) as f64;
        assert!((turned / straight - 1.0).abs() < 0.15, "{turned} {straight}");
    }
}

/// One direction that no diagonal can describe: few evaluations with a low rank, no end with a
/// diagonal.
#[test]
fn low_rank_learns_a_cigar() {
    let low_rank = median(20, Covariance::LowRank, false, cigar);
    let full = median(20, Covariance::Full, false, cigar);
    assert!(low_rank < full, "{low_rank} {full}");
    let diagonal = evaluations(started(20, 0, Covariance::Diagonal, false), cigar);
    assert!(10 * low_rank < diagonal, "{low_rank} {diagonal}");
}

/// Jastrebski & Arnold 2006, "Improving evolution strategies through active covariance matrix
/// adaptation": faster where the conditioning must be learnt.
#[test]
fn negative_weights_speed_up_learning() {
    for covariance in [Covariance::Full, Covariance::Diagonal] {
        let positive = median(10, covariance, false, ellipsoid);
        let active = median(10, covariance, true, ellipsoid);
        assert!(active < positive, "{covariance:?}: {active} {positive}");
    }
}

#[test]
fn low_rank_refuses_negative_weights() {
    let space = [real("x", 0.0, 1.0), real("y", 0.0, 1.0)];
    let refused = CatCma::new(&space, Seed(0), &with(Covariance::LowRank, true)).err();
    assert_eq!(refused, Some(OptimizerError::ActiveLowRank));
}

fn asked(mut optimizer: CatCma, cost: impl Fn(&[f64]) -> f64) -> Vec<Vec<f64>> {
    for _ in 0..20 {
        let told: Vec<(Genotype, Costs)> =
            optimizer.ask().into_iter().map(|x| (x.clone(), cost(&reals(&x)).into())).collect();
        optimizer.tell(&told);
    }
    optimizer.ask().iter().map(reals).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Moving the optimum and the start together moves everything asked for, and costs count by
    /// their order only.
    #[test]
    fn translation_and_order_do_not_matter(seed: u64, shift in -30.0_f64..30.0) {
        for (covariance, active) in SHAPES {
            let here = asked(started(5, seed, covariance, active), rotated);
            let space: Vec<Dimension> = (0..5)
                .map(|i| Dimension {
                    initial: Some(1.0 + shift),
                    ..real(&format!("x{i}"), -100.0 + shift, 100.0 + shift)
                })
                .collect();
            let settings = Settings { population: Some(8), sigma: 0.005, ..with(covariance, active) };
            let moved = CatCma::new(&space, Seed(seed), &settings).unwrap();
            let there = asked(moved, |x| {
                rotated(&x.iter().map(|x| x - shift).collect::<Vec<_>>()).sqrt() - 7.0
            });
            for (a, b) in here.iter().flatten().zip(there.iter().flatten()) {
                prop_assert!((a + shift - b).abs() < 1e-6, "{covariance:?} {active}: {a} {b}");
            }
        }
    }

    /// NaN, infinite, tied and random costs: what is asked for stays finite and within the domain,
    /// which a covariance that is no longer positive definite would not.
    #[test]
    fn nothing_breaks_the_covariance(seed: u64, population in 2_usize..30) {
        let space = [
            real("x", -1.0, 3.0), real("y", 0.0, 1.0), real("w", 5.0, 6.0), integer("z", 0, 9), category("c", 3),
        ];
        for (covariance, active) in SHAPES {
            let settings = Settings { population: Some(population), ..with(covariance, active) };
            let mut optimizer = CatCma::new(&space, Seed(seed), &settings).unwrap();
            let g = &mut SplitMix64(seed);
            for _ in 0..200 {
                let cost = |u: u64| match u % 8 {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => f64::NEG_INFINITY,
                    level => (level % 5) as f64,
                };
                let told: Vec<(Genotype, Costs)> =
                    optimizer.ask().into_iter().map(|x| (x, cost(g.next()).into())).collect();
                for (genotype, _) in &told {
                    let x = reals(genotype);
                    prop_assert!((-1.0..=3.0).contains(&x[0]) && (0.0..=1.0).contains(&x[1]), "{x:?}");
                }
                optimizer.tell(&told);
            }
        }
    }
}
