//! Laws every optimizer obeys on every space: what is sampled, what is remembered, what does not
//! matter.

use merge_search::genome::{Dimension, Domain, Gene, Genotype};
use merge_search::optimizer::{Costs, Optimizer, OptimizerKind, Settings, build};
use merge_search::units::Seed;
use proptest::prelude::*;

use super::ml1::SplitMix64;
use super::{KINDS, category, integer, real};

/// A dimension with or without a start, single-valued ones and ranges beyond 2⁵³ and 10³⁰⁰
/// included.
fn dimension() -> impl Strategy<Value = Dimension> {
    let width = prop_oneof![Just(0.0), 1e-3..1e3, Just(1e300)];
    let reals = (-1e3..1e3, width, proptest::option::of(0.0..=1.0)).prop_map(
        |(low, width, start): (f64, f64, Option<f64>)| Dimension {
            initial: start.map(|t| (low + t * width).clamp(low, low + width)),
            ..real("x", low, low + width)
        },
    );
    let span = prop_oneof![0_i64..12, Just(i64::MAX)];
    let integers =
        (-9_i64..=0, span, proptest::option::of(0_i64..12)).prop_map(|(low, span, start)| {
            Dimension {
                initial: start.map(|z| (low + z.min(span)) as f64),
                ..integer("z", low, low.saturating_add(span))
            }
        });
    prop_oneof![reals, integers, (1_usize..6).prop_map(|choices| category("c", choices))]
}

fn varies(dimension: &Dimension) -> bool {
    match &dimension.domain {
        Domain::Continuous { low, high } => low < high,
        Domain::Integer { low, high } => low < high,
        Domain::Categorical { choices } => choices.len() > 1,
    }
}

fn space() -> impl Strategy<Value = Vec<Dimension>> {
    proptest::collection::vec(dimension(), 1..7)
        .prop_filter("something varies", |space| space.iter().any(varies))
}

fn within(genotype: &Genotype, space: &[Dimension]) -> bool {
    let inside = |(gene, dimension): (&Gene, &Dimension)| match (gene, &dimension.domain) {
        (Gene::Real(x), Domain::Continuous { low, high }) => (low..=high).contains(&x),
        (Gene::Integer(z), Domain::Integer { low, high }) => (low..=high).contains(&z),
        (Gene::Category(k), Domain::Categorical { choices }) => *k < choices.len(),
        _ => false,
    };
    genotype.0.len() == space.len() && genotype.0.iter().zip(space).all(inside)
}

/// Costs without a pattern, drawn from a few levels so that ties happen; every fifth or so is NaN
/// or infinite.
fn costs(g: &mut SplitMix64, count: usize) -> Vec<f64> {
    let level = |u: u64| match u % 16 {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        level => level as f64 - 8.0,
    };
    (0..count).map(|_| level(g.next())).collect()
}

/// Ten generations of arbitrary costs, each told as `tell` sees fit.
fn drive(
    kind: OptimizerKind,
    space: &[Dimension],
    seed: u64,
    mut tell: impl FnMut(&mut dyn Optimizer, Vec<(Genotype, Costs)>),
) -> Box<dyn Optimizer + Send> {
    let mut optimizer = build(kind, space, Seed(seed), &Settings::default()).unwrap();
    let g = &mut SplitMix64(seed);
    for _ in 0..10 {
        let population = optimizer.ask();
        let costs = costs(g, population.len());
        tell(
            optimizer.as_mut(),
            population.into_iter().zip(costs.into_iter().map(Costs::from)).collect(),
        );
    }
    optimizer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn samples_and_recommendations_stay_in_their_domains_whatever_the_costs(space in space(), seed: u64) {
        for kind in KINDS {
            let optimizer = drive(kind, &space, seed, |optimizer, told| {
                assert_eq!(told.len(), optimizer.population_size());
                assert!(told.iter().all(|(genotype, _)| within(genotype, &space)), "{told:?}");
                optimizer.tell(&told);
            });
            prop_assert_eq!(optimizer.generation(), 10);
            prop_assert!(optimizer.recommend().iter().all(|genotype| within(genotype, &space)));
        }
    }

    #[test]
    fn asking_changes_nothing_and_replay_restores_every_bit(space in space(), seed: u64) {
        for kind in KINDS {
            let once = drive(kind, &space, seed, |optimizer, told| optimizer.tell(&told));
            let asked_often = drive(kind, &space, seed, |optimizer, told| {
                assert_eq!(optimizer.ask(), optimizer.ask());
                optimizer.tell(&told);
            });
            prop_assert_eq!(once.ask(), once.ask());
            prop_assert_eq!(once.ask(), asked_often.ask());
            prop_assert_eq!(once.recommend(), asked_often.recommend());
        }
    }

    #[test]
    fn the_order_of_telling_does_not_matter(space in space(), seed: u64) {
        for kind in KINDS {
            let forward = drive(kind, &space, seed, |optimizer, told| optimizer.tell(&told));
            let backward = drive(kind, &space, seed, |optimizer, mut told| {
                told.reverse();
                optimizer.tell(&told);
            });
            prop_assert_eq!(forward.ask(), backward.ask());
            prop_assert_eq!(forward.recommend(), backward.recommend());
        }
    }

    #[test]
    fn only_the_order_of_costs_matters(space in space(), seed: u64) {
        let plain = drive(OptimizerKind::CatCma, &space, seed, |optimizer, told| optimizer.tell(&told));
        let stretched = drive(OptimizerKind::CatCma, &space, seed, |optimizer, mut told| {
            told.iter_mut().for_each(|(_, costs)| costs.values[0] = (costs.values[0] / 4.0).exp() - 1e3);
            optimizer.tell(&told);
        });
        prop_assert_eq!(plain.ask(), stretched.ask());
    }

    #[test]
    fn seeds_and_generations_differ(seed: u64) {
        let space = [real("x", 0.0, 1.0), real("y", 0.0, 1.0)];
        for kind in KINDS {
            let mut optimizer = build(kind, &space, Seed(seed), &Settings::default()).unwrap();
            let first = optimizer.ask();
            let other = build(kind, &space, Seed(seed ^ 1), &Settings::default()).unwrap();
            prop_assert_ne!(&first, &other.ask());
            optimizer.tell(&[]);
            prop_assert_ne!(&first, &optimizer.ask());
        }
    }
}

/// Pure noise, a slope into the corner and mostly infeasible costs, far beyond convergence: a state that went NaN would
/// leave the domain.
#[test]
fn long_runs_stay_within_their_domains() {
    let space = [
        real("x", -1.0, 3.0),
        real("y", 0.0, 1.0),
        integer("z", 0, 4),
        integer("n", 0, 1 << 40),
        category("c", 3),
    ];
    for population in [2, 20] {
        for mode in 0..3 {
            let settings = Settings { population: Some(population), ..Settings::default() };
            let mut optimizer = build(OptimizerKind::CatCma, &space, Seed(7), &settings).unwrap();
            let g = &mut SplitMix64(7);
            for _ in 0..3000 {
                let population = optimizer.ask();
                assert!(population.iter().all(|genotype| within(genotype, &space)));
                let cost = |genotype: &Genotype| match (mode, genotype.0[0]) {
                    (0, _) => g.uniform(),
                    (1, Gene::Real(x)) => x,
                    _ => {
                        if g.uniform() < 0.9 {
                            f64::NAN
                        } else {
                            1e300 * g.uniform()
                        }
                    }
                };
                let costs: Vec<Costs> = population.iter().map(cost).map(Costs::from).collect();
                optimizer.tell(&population.into_iter().zip(costs).collect::<Vec<_>>());
            }
        }
    }
}

/// Costs that say nothing must not move, shrink or break the distribution.
#[test]
fn flat_and_infeasible_generations_teach_nothing() {
    let space = [real("x", 0.0, 1.0), integer("z", 0, 4), category("c", 3)];
    for flat in [0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut optimizer =
            build(OptimizerKind::CatCma, &space, Seed(3), &Settings::default()).unwrap();
        let before = optimizer.recommend();
        for _ in 0..50 {
            let told: Vec<_> = optimizer.ask().into_iter().map(|x| (x, flat.into())).collect();
            optimizer.tell(&told);
        }
        assert_eq!(optimizer.recommend(), before, "{flat}");
        assert_eq!(optimizer.generation(), 50);
    }
}

/// A slope that no optimum ends drives every gene to its end of the range, and nothing breaks
/// there.
#[test]
fn a_linear_slope_ends_in_the_corner() {
    let space =
        [real("x", 2.0, 3.0), real("y", -3.0, -2.0), integer("z", 0, 100), category("c", 4)];
    let mut optimizer =
        build(OptimizerKind::CatCma, &space, Seed(3), &Settings::default()).unwrap();
    let slope = |genotype: &Genotype| match genotype.0[..] {
        [Gene::Real(x), Gene::Real(y), Gene::Integer(z), Gene::Category(c)] => {
            x - y + z as f64 / 100.0 - c as f64
        }
        _ => unreachable!(),
    };
    for _ in 0..300 {
        let told: Vec<_> =
            optimizer.ask().into_iter().map(|x| (x.clone(), slope(&x).into())).collect();
        optimizer.tell(&told);
    }
    let corner = optimizer.recommend().remove(0);
    assert!((slope(&corner) - (2.0 + 2.0 - 3.0)).abs() < 1e-3, "{corner:?}");
}

#[test]
fn one_dimensional_and_single_kind_spaces_are_searched() {
    let one_max: Vec<Dimension> = (0..10).map(|i| category(&i.to_string(), 3)).collect();
    let spaces = [
        vec![real("x", 0.0, 4.0)],
        vec![integer("z", 0, 4)],
        vec![category("c", 5)],
        one_max,
        vec![integer("b", 0, 1)],
    ];
    for space in spaces {
        let mut optimizer =
            build(OptimizerKind::CatCma, &space, Seed(1), &Settings::default()).unwrap();
        let distance = |gene: &Gene| match gene {
            Gene::Real(x) => (x - 1.0).abs(),
            Gene::Integer(z) => (z - 1).abs() as f64,
            Gene::Category(k) => f64::from(u8::from(*k != 1)),
        };
        let cost = |x: &Genotype| x.0.iter().map(distance).sum::<f64>();
        for _ in 0..100 {
            let told: Vec<_> =
                optimizer.ask().into_iter().map(|x| (x.clone(), cost(&x).into())).collect();
            optimizer.tell(&told);
        }
        let found = cost(&optimizer.recommend().remove(0));
        assert!(found < 1e-6, "{space:?}: {found}");
    }
}
