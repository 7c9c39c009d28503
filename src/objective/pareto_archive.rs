//! Everything worth keeping of a stream of measurements.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::dominates;

/// The items whose costs (minimised) no other item's dominate, among all inserted so far; unbounded. Of equal costs the
/// first stays.
///
/// With two costs a balanced tree by the first one, so that n insertions take `O(n log n)` (Kung, Luccio & Preparata,
/// J. ACM 22, 1975, 469); with another number of costs each insertion looks at the whole front.
#[derive(Debug, Clone)]
pub struct ParetoArchive<T> {
    objectives: usize,
    front: Front<T>,
}

#[derive(Debug, Clone)]
enum Front<T> {
    /// First cost → second cost, which descends.
    Planar(BTreeMap<Finite, (f64, T)>),
    General(Vec<(Vec<f64>, T)>),
}

/// A number that is neither NaN nor infinite, and zero has one sign.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Finite(f64);

impl Eq for Finite {}

impl Ord for Finite {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> ParetoArchive<T> {
    /// Of items with `objectives` costs each.
    pub fn new(objectives: usize) -> Self {
        let front = match objectives {
            2 => Front::Planar(BTreeMap::new()),
            _ => Front::General(Vec::new()),
        };
        Self { objectives, front }
    }

    /// Whether `item` is on the front now. Costs that are not finite, or not one per objective, never are.
    pub fn insert(&mut self, costs: &[f64], item: T) -> bool {
        if costs.len() != self.objectives || !costs.iter().all(|cost| cost.is_finite()) {
            return false;
        }
        match (&mut self.front, costs) {
            (Front::Planar(front), &[first, second]) => insert_planar(front, first, second, item),
            (Front::Planar(_), _) => false,
            (Front::General(front), _) => insert_general(front, costs, item),
        }
    }

    /// Costs and items of the front, by ascending first cost (then second, and so on).
    pub fn front(&self) -> Vec<(Vec<f64>, &T)> {
        match &self.front {
            Front::Planar(front) => {
                front.iter().map(|(first, (second, item))| (vec![first.0, *second], item)).collect()
            }
            Front::General(front) => {
                let mut sorted: Vec<_> =
                    front.iter().map(|(costs, item)| (costs.clone(), item)).collect();
                sorted.sort_by(|(a, _), (b, _)| {
                    let pairs = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
                    pairs.fold(Ordering::Equal, Ordering::then)
                });
                sorted
            }
        }
    }
}

fn insert_planar<T>(
    front: &mut BTreeMap<Finite, (f64, T)>,
    first: f64,
    second: f64,
    item: T,
) -> bool {
    // Adding zero makes -0 and 0 one key.
    let key = Finite(first + 0.0);
    let below = front.range(..=key).next_back();
    if below.is_some_and(|(_, (lowest, _))| *lowest <= second) {
        return false;
    }
    while let Some((&beaten, _)) =
        front.range(key..).next().filter(|(_, (other, _))| *other >= second)
    {
        front.remove(&beaten);
    }
    front.insert(key, (second, item));
    true
}

fn insert_general<T>(front: &mut Vec<(Vec<f64>, T)>, costs: &[f64], item: T) -> bool {
    if front.iter().any(|(other, _)| other == costs || dominates(other, costs)) {
        return false;
    }
    front.retain(|(other, _)| !dominates(costs, other));
    front.push((costs.to_vec(), item));
    true
}
