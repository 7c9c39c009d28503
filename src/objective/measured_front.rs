//! The front of models whose times are known up to an interval, and the member that gives most for its time.

use super::Point;
use crate::outcome::Estimate;

/// A model whose time was measured several times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Maximised; compared by its value alone.
    pub accuracy: f64,
    /// Minimised; two times whose intervals overlap count as equal.
    pub time: Estimate,
    /// Minimised; counted, so without an interval. The same for all where memory does not matter.
    pub memory: f64,
}

impl Measured {
    fn is_finite(&self) -> bool {
        let Estimate { value, low, high } = self.time;
        [self.accuracy, value, low, high, self.memory].iter().all(|number| number.is_finite())
    }

    fn is_faster(&self, other: &Measured) -> bool {
        self.time.high < other.time.low
    }

    /// As good in everything and better in something.
    fn dominates(&self, other: &Measured) -> bool {
        let as_good = self.accuracy >= other.accuracy
            && !other.is_faster(self)
            && self.memory <= other.memory;
        let better =
            self.accuracy > other.accuracy || self.is_faster(other) || self.memory < other.memory;
        as_good && better
    }

    fn equals(&self, other: &Measured) -> bool {
        !self.dominates(other)
            && !other.dominates(self)
            && self.accuracy == other.accuracy
            && self.memory == other.memory
    }
}

/// Whether each of `models` is on the front: no other dominates it, and of equals it is the one whose interval of times ends
/// first, or else the first. What is not finite is not on it.
///
/// Equality of times by overlapping intervals is not transitive, yet nobody is left out for good: along a chain of those who
/// beat each other accuracy never falls and memory never grows, and where both stay the same the intervals end ever earlier
/// (or, ending alike, stand ever further to the front), so that every chain ends in somebody on the front.
pub fn measured_front(models: &[Measured]) -> Vec<bool> {
    let beaten = |(index, model): (usize, &Measured)| {
        let by = |(other, rival): (usize, &Measured)| {
            let earlier =
                || rival.time.high.total_cmp(&model.time.high).then(other.cmp(&index)).is_lt();
            rival.is_finite() && (rival.dominates(model) || (rival.equals(model) && earlier()))
        };
        !model.is_finite() || models.iter().enumerate().any(by)
    };
    models.iter().enumerate().map(|own| !beaten(own)).collect()
}

/// Index of the point of `front` that gives most accuracy for its time: the one farthest above the chord between the fastest
/// and the most accurate point, both axes scaled to the front's range (Das, Structural Optimization 18, 1999, 107; Branke,
/// Deb, Dierolf & Osswald, PPSN VIII, 2004, 722). Of equals the first; `None` where no point is above the chord.
pub fn knee(front: &[Point]) -> Option<usize> {
    let fastest = front.iter().min_by(|a, b| a.time.total_cmp(&b.time))?;
    let best = front.iter().max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))?;
    let (width, height) = (best.time - fastest.time, best.accuracy - fastest.accuracy);
    if !(width > 0.0 && height > 0.0) {
        return None;
    }
    // Times the square root of two: the chord runs from (0, 0) to (1, 1).
    let above = |point: &Point| {
        (point.accuracy - fastest.accuracy) / height - (point.time - fastest.time) / width
    };
    let mut knee: Option<(usize, f64)> = None;
    for (index, distance) in front.iter().map(above).enumerate() {
        if distance > knee.map_or(1e-12, |(_, most)| most) {
            knee = Some((index, distance));
        }
    }
    knee.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(accuracy: f64, low: f64, high: f64) -> Measured {
        let time = Estimate { value: (low + high) / 2.0, low, high };
        Measured { accuracy, time, memory: 1.0 }
    }

    /// 0.9 to 1.1 overlaps 1.05 to 1.2, which overlaps 1.15 to 1.3; the first and the last do not overlap.
    #[test]
    fn overlapping_times_are_equal() {
        let [a, b, c] = [(0.9, 1.1), (1.05, 1.2), (1.15, 1.3)];
        let front = |accuracies: [f64; 3]| {
            let models: Vec<Measured> = accuracies
                .iter()
                .zip([a, b, c])
                .map(|(accuracy, (low, high))| measured(*accuracy, low, high))
                .collect();
            measured_front(&models)
        };
        // The second is as fast as the first and more accurate; the third as fast as the second and more accurate.
        assert_eq!(front([0.5, 0.6, 0.7]), [false, false, true]);
        // The first is faster than the third, and as fast as the second.
        assert_eq!(front([0.6, 0.5, 0.7]), [true, false, true]);
        // Of equals the first stays, and it is faster than the third.
        assert_eq!(front([0.5, 0.5, 0.5]), [true, false, false]);
        assert_eq!(front([0.7, 0.6, 0.5]), [true, false, false]);
        assert_eq!(front([f64::NAN, 0.6, 0.5]), [false, true, false]);
    }

    #[test]
    fn memory_counts_where_it_differs() {
        let small = Measured { memory: 0.5, ..measured(0.5, 0.9, 1.1) };
        assert_eq!(measured_front(&[measured(0.6, 0.9, 1.1), small]), [true, true]);
        assert_eq!(measured_front(&[measured(0.5, 0.9, 1.1), small]), [false, true]);
    }

    /// Chord from (0.5, 0.2) to (1.5, 0.6): at time 0.75 it is at 0.3, at 1.0 at 0.4, at 1.25 at 0.5.
    #[test]
    fn knee_by_hand() {
        let points = |times: &[(f64, f64)]| -> Vec<Point> {
            times.iter().map(|&(time, accuracy)| Point { accuracy, time }).collect()
        };
        let front = points(&[(0.5, 0.2), (0.75, 0.45), (1.0, 0.54), (1.25, 0.55), (1.5, 0.6)]);
        assert_eq!(knee(&front), Some(1), "0.15, 0.14 and 0.05 above the chord");
        assert_eq!(knee(&points(&[(0.5, 0.2), (1.0, 0.3), (1.5, 0.6)])), None, "below it");
        assert_eq!(knee(&points(&[(0.5, 0.2), (1.5, 0.6)])), None);
        assert_eq!(knee(&points(&[(0.5, 0.2)])), None);
        assert_eq!(knee(&[]), None);
    }
}
