//! The coarse-to-fine schedule: what it asks for at each level, and that it ends where every gene is searched.

use merge_search::genome::{Dimension, Domain, Gene, Genotype};
use merge_search::optimizer::{CatCma, CoarseToFine, Costs, Optimizer, Settings};
use merge_search::units::Seed;

/// Four families of three genes, and a categorical gene beside each family.
fn dimensions() -> Vec<Dimension> {
    let real = Domain::Continuous { low: -1.0, high: 3.0 };
    let words = Domain::Categorical { choices: vec!["a".into(), "b".into()] };
    let of_family = |family: usize| {
        let domains = [real.clone(), real.clone(), real.clone(), words.clone()];
        let named =
            move |(i, domain)| Dimension { name: format!("{family}.{i}"), domain, initial: None };
        domains.into_iter().enumerate().map(named)
    };
    (0..4).flat_map(of_family).collect()
}

fn families() -> Vec<Vec<usize>> {
    vec![vec![0; 16], (0..16).map(|gene| gene / 4).collect()]
}

fn real(gene: &Gene) -> Option<f64> {
    match gene {
        Gene::Real(x) => Some(*x),
        _ => None,
    }
}

/// Squared distance from `target`, plus 1 for each wrong word ("b" is right).
fn cost(genotype: &Genotype, target: impl Fn(usize) -> f64) -> f64 {
    let of = |(i, gene): (usize, &Gene)| match gene {
        Gene::Real(x) => (x - target(i)).powi(2),
        Gene::Category(c) => f64::from(u8::from(*c == 0)),
        Gene::Integer(_) => 0.0,
    };
    genotype.0.iter().enumerate().map(of).sum()
}

fn generation(optimizer: &mut dyn Optimizer, target: &dyn Fn(usize) -> f64) -> f64 {
    let told: Vec<(Genotype, Costs)> = (optimizer.ask().into_iter())
        .map(|genotype| {
            let cost = cost(&genotype, target);
            (genotype, Costs::from(cost))
        })
        .collect();
    optimizer.tell(&told);
    told.iter().map(|(_, costs)| costs.first()).fold(f64::INFINITY, f64::min)
}

fn distinct(genotype: &Genotype) -> usize {
    let mut values: Vec<f64> = genotype.0.iter().filter_map(real).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values.len()
}

#[test]
fn each_level_asks_for_as_many_values_as_it_has() {
    let dimensions = dimensions();
    assert_eq!(CoarseToFine::genes_per_level(&dimensions, &families()), [2, 8, 16]);
    let mut search =
        CoarseToFine::new(&dimensions, Seed(3), &Settings::default(), &families()).unwrap();
    let population = search.population_size();
    let (mut levels, mut generations) = (vec![0], 0);
    while search.level() < 2 {
        let expected = [1, 4][search.level()];
        assert!(search.ask().iter().all(|genotype| distinct(genotype) == expected));
        assert_eq!((search.ask().len(), search.population_size()), (population, population));
        generation(&mut search, &|i| f64::from(u8::from(i < 8)));
        if levels.last() != Some(&search.level()) {
            levels.push(search.level());
        }
        generations += 1;
        assert!(generations < 200, "still at level {}", search.level());
        assert_eq!(search.generation(), generations);
    }
    assert_eq!(levels, [0, 1, 2]);
    assert!(search.ask().iter().all(|genotype| distinct(genotype) == 12));
}

#[test]
fn nothing_is_lost_where_nothing_is_tied() {
    let target = |i: usize| (0.37 * i as f64).sin();
    let mut search =
        CoarseToFine::new(&dimensions(), Seed(5), &Settings::default(), &families()).unwrap();
    for _ in 0..400 {
        generation(&mut search, &target);
    }
    let found = cost(&search.recommend()[0], target);
    assert!(found < 1e-6, "{found}");
}

/// With all genes of a family at one value, few coordinates find it sooner; medians of 9 seeds.
#[test]
fn what_is_tied_is_found_sooner() {
    let target = |i: usize| [0.1, 1.7, -0.4, 0.9][i / 4];
    let median = |plain: bool| {
        let mut found: Vec<f64> = (0..9)
            .map(|seed| {
                let (dimensions, settings) = (dimensions(), Settings::default());
                let mut search: Box<dyn Optimizer> = if plain {
                    Box::new(CatCma::new(&dimensions, Seed(seed), &settings).unwrap())
                } else {
                    let tying = &families()[1..];
                    Box::new(CoarseToFine::new(&dimensions, Seed(seed), &settings, tying).unwrap())
                };
                for _ in 0..12 {
                    generation(search.as_mut(), &target);
                }
                cost(&search.recommend()[0], target)
            })
            .collect();
        found.sort_by(f64::total_cmp);
        found[4]
    };
    let (tied, plain) = (median(false), median(true));
    assert!(tied < 0.5 * plain, "{tied} {plain}");
}

#[test]
fn told_again_it_is_the_same_bit_for_bit() {
    let target = |i: usize| 0.1 * i as f64;
    let build =
        || CoarseToFine::new(&dimensions(), Seed(7), &Settings::default(), &families()).unwrap();
    let (mut a, mut b) = (build(), build());
    for _ in 0..60 {
        let asked = a.ask();
        assert_eq!(asked, b.ask());
        let told: Vec<_> =
            asked.iter().map(|g| (g.clone(), Costs::from(cost(g, target)))).collect();
        a.tell(&told);
        // The order of telling does not matter, and strangers are ignored.
        let mut other: Vec<_> = told.into_iter().rev().collect();
        let mut stranger = a.recommend()[0].clone();
        stranger.0[0] = Gene::Real(2.5);
        other.push((stranger, Costs::from(-1e9)));
        b.tell(&other);
    }
    assert!(a.level() > 0);
    assert_eq!(a.recommend(), b.recommend());
}

#[test]
fn a_warm_start_that_is_not_tied_begins_where_it_can_be_said() {
    let start = |values: [f64; 4]| {
        let gene =
            |i: usize| if i % 4 == 3 { Gene::Category(0) } else { Gene::Real(values[i / 4]) };
        Genotype((0..16).map(gene).collect())
    };
    let level = |warm: Vec<Genotype>| {
        let settings = Settings { warm_start: warm, ..Settings::default() };
        CoarseToFine::new(&dimensions(), Seed(0), &settings, &families()).unwrap().level()
    };
    let mut untied = start([0.5; 4]);
    untied.0[5] = Gene::Real(0.75);
    assert_eq!(level(vec![start([0.5; 4])]), 0);
    assert_eq!(level(vec![start([0.5; 4]), start([0.0, 0.5, 0.5, 0.5])]), 1);
    assert_eq!(level(vec![untied]), 2);
}

#[test]
fn ties_between_unlike_genes_and_infinite_costs_do_no_harm() {
    let mut dimensions = dimensions();
    dimensions[1].domain = Domain::Integer { low: 0, high: 5 };
    dimensions[2].initial = Some(2.0);
    let settings = Settings::default();
    assert_eq!(CoarseToFine::genes_per_level(&dimensions, &families())[0], 4);
    let mut search = CoarseToFine::new(&dimensions, Seed(1), &settings, &families()).unwrap();
    for generation in 0..30 {
        let costs = [f64::NAN, f64::INFINITY, 1.0, 1.0];
        let told: Vec<_> = (search.ask().into_iter().enumerate())
            .map(|(i, genotype)| (genotype, Costs::from(costs[(i + generation) % 4])))
            .collect();
        search.tell(&told);
    }
    let words = dimensions.iter().filter(|d| matches!(d.domain, Domain::Categorical { .. }));
    let only: Vec<Dimension> = words.cloned().collect();
    let mut search = CoarseToFine::new(&only, Seed(1), &settings, &[vec![0; 4]]).unwrap();
    let told: Vec<_> = search.ask().into_iter().map(|g| (g, Costs::from(0.5))).collect();
    search.tell(&told);
    assert_eq!(search.level(), 1, "without a step size nothing stays tied");
}
