//! Medians of few measurements, and how sure they are.

use crate::outcome::Estimate;

/// With fewer, not even the extremes hold the true median in 95 of 100 cases: `1 - 2^(1 - n)` of them do.
pub(super) const FEWEST_ROUNDS: usize = 6;

/// Median of `values`, of which there is at least one.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2)?;
    Some((lower + upper) / 2.0)
}

/// The median with its 95 % interval, whatever the distribution: from the k-th least to the k-th greatest value. They miss
/// the true median with the probability that of `n` tosses of a coin fewer than `k` are heads, or fewer than `k` tails (David
/// & Nagaraja, Order Statistics, 3rd edition, section 7.1). The extremes where there are fewer than [`FEWEST_ROUNDS`].
pub(super) fn median_estimate(values: &[f64]) -> Option<Estimate> {
    let sorted = sorted(values);
    let outside = values_outside(sorted.len());
    let (low, high) = (sorted.get(outside)?, sorted.iter().rev().nth(outside)?);
    Some(Estimate { value: median(&sorted)?, low: *low, high: *high })
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// How many of `n` values lie beyond either end of the interval: `k - 1`.
fn values_outside(n: usize) -> usize {
    // Probability of exactly `k` heads, and of `k` at most.
    let mut exactly = 0.5_f64.powi(n.min(1000) as i32);
    let mut at_most = exactly;
    let mut k = 0;
    while at_most <= 0.025 && k < n / 2 {
        k += 1;
        exactly *= (n - k + 1) as f64 / k as f64;
        at_most += exactly;
    }
    k.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table A.2 of Conover, Practical Nonparametric Statistics: ranks of the 95 % interval of a median.
    #[test]
    fn ranks_are_those_of_the_sign_test() {
        for (n, rank) in
            [(5, 1), (6, 1), (8, 1), (9, 2), (11, 2), (12, 3), (15, 4), (20, 6), (25, 8), (50, 18)]
        {
            assert_eq!(values_outside(n) + 1, rank, "{n}");
        }
    }

    #[test]
    fn medians_by_hand() {
        assert_eq!(median_estimate(&[]), None);
        let one = median_estimate(&[2.0]);
        assert_eq!(one, Some(Estimate { value: 2.0, low: 2.0, high: 2.0 }));
        let nine = [9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0];
        let expected = Estimate { value: 5.0, low: 2.0, high: 8.0 };
        assert_eq!(median_estimate(&nine), Some(expected));
        assert_eq!(median(&[1.0, 2.0, 4.0, 100.0]), Some(3.0));
    }

    /// Of lognormal values whose median is 1, drawn by a counter (SplitMix64).
    #[test]
    fn the_interval_holds_the_true_median_in_95_of_100_cases() {
        let uniform = |i: u64| {
            let mut z = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        for n in [6, 7, 9, 15] {
            let value = |i: u64| (uniform(i) - 0.5).exp();
            let holds = (0..4000_u64).filter(|case| {
                let values: Vec<f64> = (0..n).map(|i| value(case * n + i)).collect();
                let interval = median_estimate(&values).unwrap();
                interval.low <= 1.0 && 1.0 <= interval.high
            });
            let share = holds.count() as f64 / 4000.0;
            // Three standard errors of a share of 0.95 below it.
            assert!(share > 0.94, "{n}: {share}");
        }
    }
}
