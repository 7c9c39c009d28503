//! The baselines: Sobol points and argmin's own solvers.

use merge_search::genome::{Dimension, Genotype};
use merge_search::optimizer::{Costs, Optimizer, OptimizerError, OptimizerKind, Settings, build};
use merge_search::units::Seed;
use proptest::prelude::*;

use super::{categories, category, integer, integers, real, reals};

const ARGMINS: [OptimizerKind; 3] =
    [OptimizerKind::ParticleSwarm, OptimizerKind::SimulatedAnnealing, OptimizerKind::NelderMead];

fn sized(population: usize) -> Settings {
    Settings { population: Some(population), ..Settings::default() }
}

/// The first `count` candidates, whatever they cost.
fn first(kind: OptimizerKind, space: &[Dimension], seed: u64, count: usize) -> Vec<Genotype> {
    let mut optimizer = build(kind, space, Seed(seed), &sized(16)).unwrap();
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.extend(optimizer.ask());
        optimizer.tell(&[]);
    }
    seen
}

/// Whether each of 2ᵏ equal cells of [0, 1) holds one of the 2ᵏ numbers.
fn one_per_cell(numbers: &[f64]) -> bool {
    let mut cells: Vec<usize> =
        numbers.iter().map(|x| (x * numbers.len() as f64) as usize).collect();
    cells.sort_unstable();
    cells.into_iter().eq(0..numbers.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// In each coordinate the first 2ᵏ points are a (0, k, 1)-net in base 2, and scrambling keeps that (Owen 1995).
    #[test]
    fn sobol_points_are_a_net_in_every_gene(seed: u64, genes in 1_usize..40) {
        let space: Vec<Dimension> = (0..genes).map(|i| real(&i.to_string(), 0.0, 1.0)).collect();
        let points: Vec<Vec<f64>> =
            first(OptimizerKind::Sobol, &space, seed, 256).iter().map(reals).collect();
        for gene in 0..genes {
            let numbers: Vec<f64> = points.iter().map(|point| point[gene]).collect();
            for k in 0..=8 {
                prop_assert!(one_per_cell(&numbers[..1 << k]), "gene {gene}, k {k}");
            }
        }
    }

    /// The same for cells that are values and choices: each occurs equally often.
    #[test]
    fn sobol_points_take_every_value_equally_often(seed: u64) {
        let space = [integer("z", -3, 4), category("c", 4)];
        let points = first(OptimizerKind::Sobol, &space, seed, 64);
        for z in -3..=4 {
            prop_assert_eq!(points.iter().filter(|x| integers(x) == [z]).count(), 8);
        }
        for c in 0..4 {
            prop_assert_eq!(points.iter().filter(|x| categories(x) == [c]).count(), 16);
        }
    }

    /// Told nothing about some is told that they are infeasible; told of others is told nothing.
    #[test]
    fn what_was_not_told_is_infeasible(seed: u64, every in 2_usize..5) {
        let space = [real("x", 0.0, 1.0), integer("z", 0, 5), category("c", 3)];
        for kind in ARGMINS {
            let mut partly = build(kind, &space, Seed(seed), &Settings::default()).unwrap();
            let mut wholly = build(kind, &space, Seed(seed), &Settings::default()).unwrap();
            for generation in 0..40 {
                let population = partly.ask();
                prop_assert_eq!(&population, &wholly.ask());
                let told = |i: usize| (generation + i).is_multiple_of(every);
                let cost = |x: &Genotype| Costs::from((reals(x)[0] - 0.4).abs() + integers(x)[0] as f64);
                let mut all: Vec<(Genotype, Costs)> = Vec::new();
                let mut some = vec![(Genotype(vec![]), Costs::from(-1.0))];
                for (i, x) in population.iter().enumerate() {
                    // A duplicate is told once for all of its kind.
                    let twice = population.iter().filter(|other| *other == x).count() > 1;
                    let known = twice || told(i);
                    all.push((x.clone(), if known { cost(x) } else { f64::INFINITY.into() }));
                    some.extend(known.then(|| (x.clone(), cost(x))));
                }
                partly.tell(&some);
                wholly.tell(&all);
            }
            prop_assert_eq!(partly.recommend(), wholly.recommend());
        }
    }
}

#[test]
fn sobol_goes_on_after_the_end_of_a_sequence() {
    let mut optimizer =
        build(OptimizerKind::Sobol, &[real("x", 0.0, 1.0)], Seed(1), &sized(1 << 16)).unwrap();
    let ask = |optimizer: &dyn Optimizer| -> Vec<f64> {
        optimizer.ask().iter().map(|x| reals(x)[0]).collect()
    };
    let first = ask(optimizer.as_ref());
    optimizer.tell(&[]);
    let second = ask(optimizer.as_ref());
    assert!(first != second);
    assert!(one_per_cell(&first) && one_per_cell(&second));
}

#[test]
fn more_genes_than_sobol_dimensions_are_refused() {
    let space = |genes: usize| -> Vec<Dimension> {
        (0..genes)
            .map(|i| real(&i.to_string(), 0.0, 1.0))
            .chain([real("fixed", 1.0, 1.0)])
            .collect()
    };
    let built = |genes| build(OptimizerKind::Sobol, &space(genes), Seed(1), &Settings::default());
    assert!(built(256).is_ok());
    assert_eq!(
        built(257).err(),
        Some(OptimizerError::TooManyGenes { optimizer: "sobol", got: 257, most: 256 })
    );
}

fn mixed() -> [Dimension; 4] {
    [real("x", -1.0, 1.0), real("y", 0.0, 4.0), integer("z", 0, 9), category("c", 4)]
}

fn cost(genotype: &Genotype) -> f64 {
    let (x, z, c) = (reals(genotype), integers(genotype)[0], categories(genotype)[0]);
    let bowl = (x[0] - 0.3).powi(2) + (x[1] - 0.25).powi(2);
    bowl + 0.05 * (z - 7).abs() as f64 + [0.2, 0.3, 0.0, 0.1][c]
}

/// The cost of what is recommended, or was best, after at least `evaluations`.
fn found(kind: OptimizerKind, seed: u64, evaluations: usize) -> f64 {
    let mut optimizer = build(kind, &mixed(), Seed(seed), &sized(20)).unwrap();
    let (mut evaluated, mut best) = (0, f64::INFINITY);
    while evaluated < evaluations {
        let told: Vec<(Genotype, Costs)> =
            optimizer.ask().into_iter().map(|x| (x.clone(), cost(&x).into())).collect();
        best = told.iter().fold(best, |best, (_, costs)| best.min(costs.first()));
        evaluated += told.len();
        optimizer.tell(&told);
    }
    assert!(optimizer.recommend().iter().all(|x| cost(x) == best));
    best
}

/// All genes count, so that a solver that never moved one would not get there.
#[test]
fn argmins_solvers_find_the_bottom_of_a_mixed_bowl() {
    let median = |kind| {
        let mut costs: Vec<f64> = (0..9).map(|seed| found(kind, seed, 1500)).collect();
        costs.sort_by(f64::total_cmp);
        costs[4]
    };
    let random = median(OptimizerKind::Random);
    for kind in ARGMINS {
        let found = median(kind);
        assert!(found < 0.2 * random, "{kind}: {found}, random: {random}");
    }
}

/// A solver that ends by itself starts again; one whose simplex collapsed under noise, or that costs falling for ever
/// would send to infinity, too.
#[test]
fn no_costs_stop_a_run() {
    let all: [fn(usize) -> f64; 6] = [
        |_| 0.0,
        |_| f64::INFINITY,
        |_| f64::NAN,
        |_| f64::NEG_INFINITY,
        |i| -(i as f64),
        |i| (i * 7919 % 1009) as f64,
    ];
    for costs in all {
        for kind in ARGMINS {
            let mut optimizer = build(kind, &mixed(), Seed(1), &Settings::default()).unwrap();
            let mut seen = Vec::new();
            while seen.len() < 3_000 {
                let told: Vec<(Genotype, Costs)> = optimizer
                    .ask()
                    .into_iter()
                    .enumerate()
                    .map(|(i, x)| (x, costs(seen.len() + i).into()))
                    .collect();
                assert!(!told.is_empty());
                optimizer.tell(&told);
                seen.extend(told);
            }
            assert!(seen.iter().all(|(x, _)| reals(x).iter().all(|x| (-1.0..=4.0).contains(x))));
            let feasible = seen.iter().any(|(_, costs)| costs.first() < f64::INFINITY);
            assert_eq!(optimizer.recommend().is_empty(), !feasible);
            let distinct = |tail: &[(Genotype, Costs)]| tail.windows(2).any(|w| w[0].0 != w[1].0);
            assert!(distinct(&seen[2_500..]), "{kind} stands still");
        }
    }
}

#[test]
fn the_first_generation_holds_the_warm_starts() {
    let space = mixed();
    let warm = first(OptimizerKind::Random, &space, 3, 2);
    let near = |a: &Genotype, b: &Genotype| {
        let close = |(a, b): (f64, f64)| (a - b).abs() < 1e-12;
        integers(a) == integers(b)
            && categories(a) == categories(b)
            && reals(a).into_iter().zip(reals(b)).all(close)
    };
    let settings = Settings { warm_start: warm[..2].to_vec(), ..Settings::default() };
    for kind in ARGMINS {
        let population = build(kind, &space, Seed(3), &settings).unwrap().ask();
        assert!(near(&population[0], &warm[0]), "{kind}");
        assert!(kind == OptimizerKind::NelderMead || near(&population[1], &warm[1]), "{kind}");
        let wrong = Settings { warm_start: vec![Genotype(vec![])], ..Settings::default() };
        assert_eq!(
            build(kind, &space, Seed(3), &wrong).err(),
            Some(OptimizerError::BadWarmStart { candidate: 0 })
        );
    }
}

#[test]
fn sigma_is_the_size_of_the_first_simplex() {
    let space = [real("x", 0.0, 2.0), integer("z", 0, 9)];
    let initial = |sigma| {
        let settings = Settings { sigma, ..Settings::default() };
        build(OptimizerKind::NelderMead, &space, Seed(5), &settings).unwrap().ask()
    };
    let small = initial(1e-3);
    assert_eq!(small.len(), 3);
    assert_eq!(reals(&small[0]), [1.0]);
    let edge = (reals(&small[1])[0] - 1.0).abs();
    assert!((1e-3..=3e-3).contains(&edge), "{edge}");
    assert_eq!((integers(&small[2])[0] - integers(&small[0])[0]).abs(), 1);
    for sigma in [0.0, f64::NAN] {
        let settings = Settings { sigma, ..Settings::default() };
        let built = build(OptimizerKind::NelderMead, &space, Seed(5), &settings);
        assert!(matches!(built.err(), Some(OptimizerError::BadSigma { .. })));
    }
}
