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

/// Volume of what `costs` (minimised, one entry per entry of `reference`) dominate within the box that ends at `reference`:
/// exact for any number of objectives, `O(n log n)` for two and `O(n² log n)` for three. Costs beyond the reference, or NaN,
/// add nothing.
///
/// Hypervolume by slicing objectives (Knowles, PhD thesis, 2002; While et al., IEEE Trans. Evol. Comput. 10, 2006, 29): the
/// last objective cuts the volume into slabs of constant cross section.
pub fn dominated_volume(costs: &[Vec<f64>], reference: &[f64]) -> f64 {
    let inside = |point: &&Vec<f64>| {
        point.len() == reference.len() && point.iter().zip(reference).all(|(cost, end)| cost < end)
    };
    volume(costs.iter().filter(inside).map(Vec::as_slice).collect(), reference)
}

fn volume(mut points: Vec<&[f64]>, reference: &[f64]) -> f64 {
    let Some((&end, rest)) = reference.split_last() else { return 0.0 };
    let last = rest.len();
    points.sort_by(|a, b| a[last].total_cmp(&b[last]));
    match rest {
        [] => points.first().map_or(0.0, |best| end - best[0]),
        &[first_end] => area(&points, first_end, end),
        _ => (0..points.len())
            .map(|i| {
                let top = points.get(i + 1).map_or(end, |next| next[last]);
                let height = top - points[i][last];
                if height > 0.0 { height * volume(points[..=i].to_vec(), rest) } else { 0.0 }
            })
            .sum(),
    }
}

/// `points` by ascending second cost: each lower first cost adds a strip up to the reference.
fn area(points: &[&[f64]], first_end: f64, second_end: f64) -> f64 {
    let mut lowest = first_end;
    let mut total = 0.0;
    for point in points.iter().filter(|point| point[0] < first_end) {
        total += (lowest - point[0]).max(0.0) * (second_end - point[1]);
        lowest = lowest.min(point[0]);
    }
    total
}
