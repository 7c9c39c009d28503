//! Which models are worth keeping when both accuracy and time count.

use std::collections::BTreeMap;

/// One model in the plane of the two objectives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Maximised; a geometric mean in `[0, 1]`.
    pub accuracy: f64,
    /// Minimised; any unit, the same for all points.
    pub time: f64,
}

impl Point {
    fn is_finite(&self) -> bool {
        self.accuracy.is_finite() && self.time.is_finite()
    }
}

/// Indices of the points that no other point dominates (at least as accurate and as fast, and better in one), by ascending
/// time and so by ascending accuracy. Of equal points the first stays. Points that are not finite are never on the front.
///
/// Sort and sweep, `O(n log n)` (Kung, Luccio & Preparata, J. ACM 22, 1975, 469, for two objectives).
pub fn pareto_front(points: &[Point]) -> Vec<usize> {
    let mut order: Vec<usize> =
        (0..points.len()).filter(|&index| points[index].is_finite()).collect();
    // Stable, so that equal points keep the order they came in.
    order.sort_by(|&a, &b| {
        let (a, b) = (&points[a], &points[b]);
        (a.time.total_cmp(&b.time)).then(b.accuracy.total_cmp(&a.accuracy))
    });
    let mut best = f64::NEG_INFINITY;
    order.retain(|&index| {
        let better = points[index].accuracy > best;
        best = best.max(points[index].accuracy);
        better
    });
    order
}

/// The time of each model with the noise between models that do the same work taken out: every time is replaced by the
/// median over its class. `measured` holds, per model, a class (equal for models with the same inference graph, whose
/// times differ by measurement only) and its time.
pub fn pooled_times<K: Ord>(measured: &[(K, f64)]) -> Vec<f64> {
    let mut classes: BTreeMap<&K, Vec<f64>> = BTreeMap::new();
    for (class, time) in measured {
        classes.entry(class).or_default().push(*time);
    }
    let medians: BTreeMap<&K, f64> =
        (classes.into_iter()).map(|(class, times)| (class, median(times))).collect();
    measured.iter().map(|(class, _)| medians[class]).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
