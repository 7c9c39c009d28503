//! CMA-ES that starts again: when, with what population, and what it hands over.

use std::f64::consts::TAU;

use merge_search::genome::{Dimension, Genotype};
use merge_search::optimizer::{CatCma, Costs, Covariance, Optimizer, Restarts, Settings};
use merge_search::units::Seed;

use super::ml1::SplitMix64;
use super::{categories, category, integer, real, reals};

fn space(d: usize) -> Vec<Dimension> {
    (0..d).map(|i| real(&format!("x{i}"), -5.12, 5.12)).collect()
}

fn built(d: usize, seed: u64, restarts: Restarts) -> CatCma {
    let settings = Settings { population: Some(8), restarts, active: true, ..Settings::default() };
    CatCma::new(&space(d), Seed(seed), &settings).unwrap()
}

/// Its optimum is off the centre, where every first run starts.
fn rastrigin(genotype: &Genotype) -> f64 {
    let wave = |x: f64| 10.0 + x * x - 10.0 * (TAU * x).cos();
    reals(genotype).iter().map(|x| wave(x - 2.2)).sum()
}

fn told(optimizer: &CatCma, mut cost: impl FnMut(&Genotype) -> f64) -> Vec<(Genotype, Costs)> {
    optimizer.ask().into_iter().map(|x| (x.clone(), cost(&x).into())).collect()
}

/// Populations of the runs, in order, within `evaluations`; neighbouring runs with the same are one.
fn populations(mut optimizer: CatCma, evaluations: usize) -> Vec<usize> {
    let (mut populations, mut spent) = (Vec::new(), 0);
    while spent < evaluations {
        populations.push(optimizer.population_size());
        spent += optimizer.population_size();
        optimizer.tell(&told(&optimizer, rastrigin));
    }
    populations.dedup();
    populations
}

/// Auger & Hansen 2005: each restart doubles the population.
#[test]
fn ipop_doubles() {
    let populations = populations(built(5, 1, Restarts::Ipop), 40_000);
    assert!(populations.len() >= 4, "{populations:?}");
    assert!(populations.windows(2).all(|w| w[1] == 2 * w[0]), "{populations:?}");
}

/// Hansen 2009: the first restart is large, small ones lie between the first population and half of
/// the large one, and large ones double.
#[test]
fn bipop_alternates() {
    let populations = populations(built(5, 1, Restarts::Bipop), 60_000);
    assert_eq!(populations[..2], [8, 16]);
    let mut large = 8;
    for &population in &populations[1..] {
        if population == 2 * large {
            large = population;
        } else {
            assert!((8..=large / 2).contains(&population), "{populations:?}");
        }
    }
    assert!(large >= 32, "{populations:?}");
}

#[test]
fn without_restarts_the_population_stays() {
    assert_eq!(populations(built(5, 1, Restarts::None), 10_000), [8]);
}

/// Rastrigin has 11^5 local optima in this range; single runs of eight end in one of them.
#[test]
fn restarts_find_the_global_optimum_and_recommend_it_first() {
    for restarts in [Restarts::Ipop, Restarts::Bipop] {
        for seed in 0..3 {
            let mut optimizer = built(5, seed, restarts);
            let mut evaluations = 0;
            while evaluations < 60_000 {
                let told = told(&optimizer, rastrigin);
                evaluations += told.len();
                optimizer.tell(&told);
            }
            let costs: Vec<f64> = optimizer.recommend().iter().map(rastrigin).collect();
            assert!(costs.len() > 1);
            assert!(costs[0] < 1e-8, "{restarts:?} {seed}: {costs:?}");
        }
    }
}

/// Binomial accuracies on a plain bowl: the run goes on for long after the start, whatever the noise.
#[test]
fn noise_does_not_end_a_run_at_once() {
    for (items, seed) in [(20.0, 0), (100.0, 1), (1000.0, 2)] {
        let mut optimizer = built(10, seed, Restarts::Ipop);
        let g = &mut SplitMix64(seed);
        for generation in 0..100 {
            assert_eq!(optimizer.population_size(), 8, "{items} items, generation {generation}");
            let told = told(&optimizer, |x| {
                let accuracy = (-0.01 * rastrigin(x)).exp();
                let right = (0..items as usize).filter(|_| g.uniform() < accuracy).count();
                -(right as f64) / items
            });
            optimizer.tell(&told);
        }
    }
}

/// Told the same, equal bit for bit, over restarts; costs that are NaN, infinite or tied included.
#[test]
fn replay_is_exact_over_restarts() {
    let mut space = space(3);
    space.extend([integer("z", 0, 9), category("c", 4)]);
    for covariance in [Covariance::Full, Covariance::Diagonal, Covariance::LowRank] {
        let settings = Settings {
            population: Some(6),
            restarts: Restarts::Bipop,
            covariance,
            ..Settings::default()
        };
        let new = || CatCma::new(&space, Seed(5), &settings).unwrap();
        let (mut one, mut two) = (new(), new());
        let mut populations = Vec::new();
        for generation in 0..3000 {
            populations.push(one.population_size());
            if populations.iter().sum::<usize>() > 30_000 {
                break;
            }
            let cost = |x: &Genotype| match generation % 50 {
                0 => f64::NAN,
                1 if reals(x)[0] > 0.0 => f64::INFINITY,
                _ => rastrigin(x) + categories(x)[0] as f64,
            };
            let mut costs = told(&one, cost);
            one.tell(&costs);
            costs.reverse();
            two.ask();
            two.tell(&costs);
            assert_eq!(one.ask(), two.ask());
        }
        assert_eq!(one.recommend(), two.recommend());
        populations.dedup();
        assert!(populations.len() > 3, "{populations:?}");
    }
}

/// Spaces without a Gaussian restart too, and nothing that is asked for leaves its domain.
#[test]
fn categories_alone_restart() {
    let space: Vec<Dimension> = (0..4).map(|i| category(&i.to_string(), 3)).collect();
    let settings = Settings { restarts: Restarts::Ipop, ..Settings::default() };
    let mut optimizer = CatCma::new(&space, Seed(1), &settings).unwrap();
    let first = optimizer.population_size();
    for _ in 0..100 {
        let told = told(&optimizer, |x| categories(x).iter().sum::<usize>() as f64);
        assert!(told.iter().all(|(x, _)| categories(x).iter().all(|k| *k < 3)));
        optimizer.tell(&told);
    }
    assert!(optimizer.population_size() > first);
    assert_eq!(categories(&optimizer.recommend()[0]), [0; 4]);
}

/// A default population is a multiple of the workers in every run; one that was asked for is kept.
#[test]
fn later_populations_suit_the_workers() {
    let settings = Settings { workers: 6, restarts: Restarts::Bipop, ..Settings::default() };
    let mut optimizer = CatCma::new(&space(3), Seed(1), &settings).unwrap();
    let mut spent = 0;
    while spent < 30_000 {
        spent += optimizer.population_size();
        assert_eq!(optimizer.population_size() % 6, 0);
        optimizer.tell(&told(&optimizer, rastrigin));
    }
    assert!(optimizer.recommend().len() > 3);
}
