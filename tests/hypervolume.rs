//! Hypervolume, non-dominated sorting and the archive against analytic values, definitions and pymoo.

use merge_search::objective::{
    ParetoArchive, Point, dominated_volume, dominates, hypervolume, non_dominated_sort,
};
use proptest::prelude::*;
use serde::Deserialize;

/// Written by `tests/reference/optimizers/pymoo_hypervolume.py`.
#[derive(Deserialize)]
struct Case {
    points: Vec<Vec<f64>>,
    reference: Vec<f64>,
    hypervolume: f64,
    fronts: Vec<Vec<usize>>,
}

#[test]
fn volumes_and_fronts_are_those_of_pymoo() {
    let text = include_str!("reference/optimizers/pymoo_hypervolume.json");
    let cases: Vec<Case> = serde_json::from_str(text).unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let volume = dominated_volume(&case.points, &case.reference);
        assert!((volume - case.hypervolume).abs() < 1e-12, "{volume} {}", case.hypervolume);
        assert_eq!(non_dominated_sort(&case.points), case.fronts);
    }
}

/// ZDT1's front f2 = 1 − √f1 and the octant of DTLZ2's sphere, as finely as the error is small: areas 2/3 and π/6 are cut
/// off.
#[test]
fn volumes_of_known_fronts() {
    let zdt1: Vec<Vec<f64>> =
        (0..=100_000).map(|i| f64::from(i) / 1e5).map(|x| vec![x, 1.0 - x.sqrt()]).collect();
    let area = dominated_volume(&zdt1, &[1.1, 1.1]);
    assert!((area - (0.1 * 1.1 + 0.1 + 2.0 / 3.0)).abs() < 1e-4, "{area}");
    let turn = |i: i32| f64::from(i) / 60.0 * std::f64::consts::FRAC_PI_2;
    let pairs = (0..=60).flat_map(|i| (0..=60).map(move |j| (turn(i), turn(j))));
    let sphere =
        pairs.map(|(a, b)| vec![a.cos() * b.cos(), a.cos() * b.sin(), a.sin()]).collect::<Vec<_>>();
    let volume = dominated_volume(&sphere, &[1.1; 3]);
    let whole = 1.1_f64.powi(3) - std::f64::consts::PI / 6.0;
    assert!(volume < whole && volume > whole - 0.03, "{volume} {whole}");
}

#[test]
fn one_and_four_objectives_by_hand() {
    assert_eq!(dominated_volume(&[vec![2.0], vec![0.5], vec![f64::NAN]], &[1.5]), 1.0);
    // Two boxes of 1·1·1·2 and 2·1·1·1 that share 1·1·1·1.
    let boxes = [vec![1.0, 1.0, 1.0, 0.0], vec![0.0, 1.0, 1.0, 1.0]];
    assert_eq!(dominated_volume(&boxes, &[2.0; 4]), 3.0);
    assert_eq!(dominated_volume(&[], &[1.0, 1.0]), 0.0);
    assert_eq!(dominated_volume(&boxes, &[]), 0.0);
}

/// Few levels, so that ties, duplicates and points on the reference happen; some not finite.
fn points(objectives: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    let cost = prop_oneof![9 => (0..6_i32).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    proptest::collection::vec(proptest::collection::vec(cost, objectives), 0..14)
}

/// Unit cells of a grid of 5 per objective that some point dominates.
fn cells(points: &[Vec<f64>], objectives: u32) -> f64 {
    let covered = |cell: &usize| {
        let low = |m: usize| (cell / 5_usize.pow(m as u32) % 5) as f64;
        points.iter().any(|point| point.iter().enumerate().all(|(m, cost)| *cost <= low(m)))
    };
    (0..5_usize.pow(objectives)).filter(covered).count() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn volume_is_the_number_of_dominated_cells(two in points(2), three in points(3)) {
        prop_assert_eq!(dominated_volume(&two, &[5.0; 2]), cells(&two, 2));
        prop_assert_eq!(dominated_volume(&three, &[5.0; 3]), cells(&three, 3));
    }

    #[test]
    fn accuracy_against_time_is_the_same_area(points in points(2)) {
        let of = |cost: &Vec<f64>| Point { accuracy: 5.0 - cost[0], time: cost[1] };
        let area = hypervolume(&points.iter().map(of).collect::<Vec<_>>(), Point { accuracy: 0.0, time: 5.0 });
        prop_assert_eq!(area, dominated_volume(&points, &[5.0; 2]));
    }

    #[test]
    fn the_archive_keeps_what_nothing_dominates(two in points(2), three in points(3)) {
        for (objectives, points) in [(2, two), (3, three)] {
            let mut archive = ParetoArchive::new(objectives);
            for (place, point) in points.iter().enumerate() {
                let on_front = archive.insert(point, place);
                prop_assert_eq!(on_front, archive.front().iter().any(|(_, other)| **other == place));
            }
            let finite = |point: &Vec<f64>| point.iter().all(|cost| cost.is_finite());
            let stays = |&place: &usize| {
                let point = &points[place];
                let beaten = |other: &Vec<f64>| finite(other) && dominates(other, point);
                finite(point) && !points.iter().any(beaten) && !points[..place].contains(point)
            };
            let mut expected: Vec<usize> = (0..points.len()).filter(stays).collect();
            expected.sort_by(|&a, &b| points[a].partial_cmp(&points[b]).unwrap());
            let kept: Vec<usize> = archive.front().into_iter().map(|(_, place)| *place).collect();
            prop_assert_eq!(kept, expected);
        }
    }
}

/// A hundred thousand points of one front: quadratic insertion would take minutes.
#[test]
fn many_insertions_are_quick() {
    let mut archive = ParetoArchive::new(2);
    for i in 0..100_000_u64 {
        let x = (i * 61_803 % 100_000) as f64;
        assert!(archive.insert(&[x, -x], i));
    }
    assert_eq!(archive.front().len(), 100_000);
    assert!(archive.insert(&[-1.0, -1e6], 0));
    assert_eq!(archive.front().len(), 1);
}
