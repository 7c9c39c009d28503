//! One number for the quality of a whole front.

use super::{Point, pareto_front};

/// Area that `points` dominate within the box bounded by `reference` (lowest accuracy and longest time that count), in
/// accuracy times the unit of time. Zitzler & Thiele, PPSN V, 1998: larger is better, dominated points add nothing. Points
/// beyond the reference add nothing either.
pub fn hypervolume(points: &[Point], reference: Point) -> f64 {
    let inside: Vec<Point> = (points.iter().copied())
        .filter(|point| point.accuracy > reference.accuracy && point.time < reference.time)
        .collect();
    let front = pareto_front(&inside);
    let ends = (front.iter().skip(1).map(|&next| inside[next].time)).chain([reference.time]);
    (front.iter().zip(ends))
        .map(|(&index, end)| {
            (end - inside[index].time) * (inside[index].accuracy - reference.accuracy)
        })
        .sum()
}
