//! Limits on what a model may cost.

use serde::{Deserialize, Serialize};

/// Limits that a model must keep to win or to be on the front. A search treats those who do not by constraint domination
/// (Deb, Pratap, Agarwal & Meyarivan, IEEE Trans. Evol. Comput. 6, 2002, 182, section VI): each is worse than all that keep
/// them, and of two the one with the smaller [`excess`](Constraints::excess) is better.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Constraints {
    /// Time at most, the base model's = 1.
    pub max_relative_time: Option<f64>,
    /// Bytes of weights at most, the base model's = 1.
    pub max_relative_memory: Option<f64>,
}

impl Constraints {
    /// Whether there is no limit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// By what share the limits are passed, summed over them; 0 where both are kept. A time or memory that is NaN keeps none.
    pub fn excess(&self, relative_time: f64, relative_memory: f64) -> f64 {
        let limits =
            [(self.max_relative_time, relative_time), (self.max_relative_memory, relative_memory)];
        let passed = limits.iter().filter_map(|(limit, value)| Some((value / (*limit)?) - 1.0));
        passed.map(|share| if share.is_nan() { f64::INFINITY } else { share.max(0.0) }).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excess_by_hand() {
        let both = Constraints { max_relative_time: Some(0.5), max_relative_memory: Some(2.0) };
        assert_eq!(both.excess(0.5, 2.0), 0.0);
        assert_eq!(both.excess(0.75, 3.0), 0.5 + 0.5);
        assert_eq!(both.excess(0.1, 2.5), 0.25);
        assert_eq!(both.excess(f64::NAN, 1.0), f64::INFINITY);
        let none = Constraints::default();
        assert!(none.is_empty() && !both.is_empty());
        assert_eq!(none.excess(f64::INFINITY, 9.0), 0.0);
    }
}
