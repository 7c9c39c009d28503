//! The Pareto front and its hypervolume.

use merge_search::objective::{Point, hypervolume, pareto_front, pooled_times};
use proptest::prelude::*;

fn point((accuracy, time): (f64, f64)) -> Point {
    Point { accuracy, time }
}

/// By definition, in O(n²).
fn front_by_definition(points: &[Point]) -> Vec<usize> {
    let at_least = |a: &Point, b: &Point| a.accuracy >= b.accuracy && a.time <= b.time;
    let beaten = |i: usize| {
        (points.iter().enumerate())
            .any(|(j, other)| at_least(other, &points[i]) && (*other != points[i] || j < i))
    };
    (0..points.len()).filter(|&i| !beaten(i)).collect()
}

proptest! {
    #[test]
    fn pareto_front_is_the_definitions(raw in prop::collection::vec((0u8..12, 0u8..12), 0..60)) {
        let points: Vec<Point> = (raw.iter())
            .map(|&(a, t)| point((f64::from(a) / 12.0, f64::from(t))))
            .collect();
        let mut front = pareto_front(&points);
        prop_assert!(front.is_sorted_by(|&a, &b| points[a].time < points[b].time));
        front.sort_unstable();
        prop_assert_eq!(front, front_by_definition(&points));
    }
}

#[test]
fn points_that_are_no_numbers_are_left_out() {
    let points = [(f64::NAN, 1.0), (0.5, 2.0), (0.6, f64::INFINITY)].map(point);
    assert_eq!(pareto_front(&points), [1]);
}

/// Points (1,1) (2,2) (3,3) up to the reference (0, 4), by columns:
/// time 1..2 height 1, 2..3 height 2, 3..4 height 3, so 6.
#[test]
fn hypervolume_by_hand() {
    let reference = point((0.0, 4.0));
    let steps = [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)].map(point);
    assert_eq!(hypervolume(&steps, reference), 6.0);
    let more = [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (1.5, 2.5), (9.0, 5.0), (-1.0, 0.5)];
    assert_eq!(hypervolume(&more.map(point), reference), 6.0);
    assert_eq!(hypervolume(&[], reference), 0.0);
}

/// Two models that do the same work tie in time whatever the clock said, so the better one alone is on the front.
#[test]
fn models_with_the_same_graph_tie_in_time() {
    let measured = [("a", 1.00), ("a", 1.04), ("b", 0.7), ("a", 1.02), ("b", 0.8)];
    let times = pooled_times(&measured);
    assert_eq!(times, [1.02, 1.02, 0.75, 1.02, 0.75]);
    let accuracies = [0.50, 0.60, 0.40, 0.55, 0.30];
    let points: Vec<Point> = accuracies.into_iter().zip(times).map(point).collect();
    assert_eq!(pareto_front(&points), [2, 1]);
}
