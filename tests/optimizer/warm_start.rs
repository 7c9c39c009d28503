//! Known good candidates: part of the first generation, and where the search starts.

use merge_search::genome::{Dimension, Gene, Genotype};
use merge_search::optimizer::{CatCma, Costs, Optimizer, OptimizerError, Settings};
use merge_search::units::Seed;

use super::{categories, category, integer, integers, real, reals};

fn space() -> Vec<Dimension> {
    vec![real("x", -2.0, 2.0), integer("z", 0, 9), category("c", 4), real("fixed", 3.0, 3.0)]
}

fn genotype(x: f64, z: i64, c: usize) -> Genotype {
    Genotype(vec![Gene::Real(x), Gene::Integer(z), Gene::Category(c), Gene::Real(3.0)])
}

fn built(warm_start: Vec<Genotype>, sigma: f64) -> Result<CatCma, OptimizerError> {
    let settings = Settings { population: Some(10), warm_start, sigma, ..Settings::default() };
    CatCma::new(&space(), Seed(4), &settings)
}

#[test]
fn the_first_generation_holds_what_was_given_then_samples() {
    // 0.1 and 0.7 are not exact in binary: what comes back must be what was given all the same.
    let given = vec![genotype(0.1, 7, 3), genotype(-1.7, 2, 1), genotype(0.1, 7, 3)];
    let mut optimizer = built(given.clone(), 0.3).unwrap();
    let first = optimizer.ask();
    assert_eq!(first.len(), 10);
    assert_eq!(first[..3], given);
    assert!(first[3..].iter().all(|x| !given.contains(x)));
    optimizer.tell(&first.iter().map(|x| (x.clone(), reals(x)[0].into())).collect::<Vec<_>>());
    assert!(optimizer.ask().iter().all(|x| !given.contains(x)));
}

#[test]
fn more_than_a_population_are_cut_to_it() {
    let given: Vec<Genotype> = (0..30).map(|i| genotype(f64::from(i) / 20.0, 1, 1)).collect();
    assert_eq!(built(given.clone(), 0.3).unwrap().ask(), given[..10]);
}

#[test]
fn the_search_starts_at_the_first() {
    let optimizer = built(vec![genotype(1.25, 7, 3), genotype(-1.0, 0, 0)], 0.05).unwrap();
    let centre = optimizer.recommend().remove(0);
    assert!((reals(&centre)[0] - 1.25).abs() < 1e-12, "{centre:?}");
    assert_eq!(integers(&centre), [7]);
    // Half of the probability is spread over the given categories 3 and 0: 0.375 each against 0.125.
    let seen = |optimizer: &CatCma, k: usize| {
        optimizer.ask()[2..].iter().filter(|x| categories(x)[0] == k).count()
    };
    let settings =
        |warm_start| Settings { population: Some(4000), warm_start, ..Settings::default() };
    let given = settings(vec![genotype(1.25, 7, 3), genotype(-1.0, 0, 0)]);
    let many = CatCma::new(&space(), Seed(1), &given).unwrap();
    for (k, share) in [(0, 0.375), (1, 0.125), (2, 0.125), (3, 0.375)] {
        let got = seen(&many, k) as f64 / 3998.0;
        // Five standard deviations of a binomial share.
        assert!((got - share).abs() < 0.04, "{k}: {got}");
    }
}

/// A far candidate that is far the best must pull the search there without blowing it up.
#[test]
fn a_far_candidate_pulls_no_further_than_a_sample() {
    let space: Vec<Dimension> = (0..10).map(|i| real(&i.to_string(), 0.0, 1.0)).collect();
    let at = |x: f64| Genotype(vec![Gene::Real(x); 10]);
    let settings = Settings {
        population: Some(10),
        sigma: 0.01,
        warm_start: vec![at(0.5), at(0.9)],
        ..Settings::default()
    };
    let mut optimizer = CatCma::new(&space, Seed(1), &settings).unwrap();
    let cost = |x: &Genotype| reals(x).iter().map(|x| (x - 0.9).powi(2)).sum::<f64>();
    let told: Vec<(Genotype, Costs)> =
        optimizer.ask().into_iter().map(|x| (x.clone(), cost(&x).into())).collect();
    optimizer.tell(&told);
    let moved = reals(&optimizer.recommend()[0]);
    let length = moved.iter().map(|x| (x - 0.5).powi(2)).sum::<f64>().sqrt();
    // c_y = √10 + 20 / 12 = 4.83 standard deviations, times the first weight (0.46) and what samples add.
    assert!(length > 0.01 && length < 0.0483, "{length}");
}

#[test]
fn what_does_not_fit_is_an_error_that_says_where() {
    let error = |bad: Genotype| built(vec![genotype(0.0, 1, 1), bad], 0.3).unwrap_err();
    let short = Genotype(vec![Gene::Real(0.0)]);
    assert_eq!(error(short), OptimizerError::WarmStartGenes { candidate: 1, expected: 4, got: 1 });
    let text = error(genotype(2.5, 1, 1)).to_string();
    for part in ["candidate 1", "\"x\"", "-2..2", "2.5"] {
        assert!(text.contains(part), "{text}");
    }
    let mut kind = genotype(0.0, 1, 1);
    kind.0[1] = Gene::Real(1.0);
    let mut fixed = genotype(0.0, 1, 1);
    fixed.0[3] = Gene::Real(2.0);
    for bad in [
        genotype(f64::NAN, 1, 1),
        genotype(0.0, 10, 1),
        genotype(0.0, -1, 1),
        genotype(0.0, 1, 4),
        kind,
        fixed,
    ] {
        let got = error(bad);
        assert!(matches!(got, OptimizerError::WarmStartGene { candidate: 1, .. }), "{got:?}");
    }
}
