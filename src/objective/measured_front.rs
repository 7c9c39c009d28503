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

/// Whether each of `models` is on the front: nobody on it dominates another of it, and whoever is not on it is dominated by
/// somebody who is, or equals one who is. What is not finite is not on it.
///
/// Equality of times by overlapping intervals is not transitive: of a row of models each of which overlaps the next and is
/// less accurate, all but the last are dominated, although the first may be much faster than the last. So only members count
/// as dominators: the front is the stable set of the relation (von Neumann & Morgenstern, Theory of Games and Economic
/// Behavior, 1944, section 4.5.3), of which there is one, since along the relation accuracy falls, or memory grows, or the
/// intervals end later: whoever comes first by these is a member.
pub fn measured_front(models: &[Measured]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..models.len()).filter(|&i| models[i].is_finite()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&models[a], &models[b]);
        (b.accuracy.total_cmp(&a.accuracy))
            .then(a.memory.total_cmp(&b.memory))
            .then(a.time.high.total_cmp(&b.time.high))
    });
    let mut front = vec![false; models.len()];
    for index in order {
        let own = &models[index];
        let beats = |(rival, on_front): (&Measured, &bool)| {
            *on_front && (rival.dominates(own) || rival.equals(own))
        };
        front[index] = !models.iter().zip(&front).any(beats);
    }
    front
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
    use proptest::prelude::*;

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
        // The third is as fast as the second and more accurate. The second is as fast as the first and more accurate, but no
        // member; the first is faster than the third.
        assert_eq!(front([0.5, 0.6, 0.7]), [true, false, true]);
        // The first is faster than the third, and as fast as the second.
        assert_eq!(front([0.6, 0.5, 0.7]), [true, false, true]);
        // Of equals the first stays, and it is faster than the third.
        assert_eq!(front([0.5, 0.5, 0.5]), [true, false, false]);
        assert_eq!(front([0.7, 0.6, 0.5]), [true, false, false]);
        assert_eq!(front([f64::NAN, 0.6, 0.5]), [false, true, false]);
    }

    #[test]
    fn equal_models_in_any_order_leave_one() {
        let [a, b, c] = [(0.9, 1.1), (1.05, 1.2), (1.15, 1.3)].map(|(l, h)| measured(0.5, l, h));
        assert_eq!(measured_front(&[c, b, a]), [false, false, true]);
        assert_eq!(measured_front(&[b, c, a]), [false, false, true]);
    }

    proptest! {
        /// Inside and outside stability.
        #[test]
        fn the_front_is_a_stable_set(
            models in prop::collection::vec((0_u8..4, 0_u8..12, 1_u8..5, 0_u8..2), 1..12),
        ) {
            let models: Vec<Measured> = models
                .into_iter()
                .map(|(accuracy, low, width, memory)| {
                    let (low, width) = (f64::from(low), f64::from(width));
                    let memory = f64::from(memory);
                    Measured { memory, ..measured(f64::from(accuracy), low, low + width) }
                })
                .collect();
            let front = measured_front(&models);
            let members = || models.iter().zip(&front).filter(|(_, on)| **on).map(|(own, _)| own);
            for (own, on_front) in models.iter().zip(&front) {
                let beats = |member: &&Measured| member.dominates(own);
                let same = |member: &&Measured| member.equals(own);
                if *on_front {
                    prop_assert!(!members().any(|member| beats(&member)));
                } else {
                    prop_assert!(members().any(|member| beats(&member) || same(&member)));
                }
            }
        }
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
