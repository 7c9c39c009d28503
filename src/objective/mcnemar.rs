//! Whether one model is right more often than another on the documents of one task.

use std::f64::consts::LN_2;

use serde::Serialize;

use crate::outcome::TaskScore;

/// What two models answered to the documents of one task, and the exact McNemar test of "right equally often".
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct McNemar {
    /// The task.
    pub task: String,
    /// Documents that only the first model got right.
    pub only_first: usize,
    /// Documents that only the second model got right.
    pub only_second: usize,
    /// Two-sided.
    pub p_value: f64,
}

impl McNemar {
    /// `None` where a score is neither 0 nor 1, or the two have different numbers of documents.
    pub fn of(first: &TaskScore, second: &TaskScore) -> Option<McNemar> {
        let scores = || first.items.iter().zip(&second.items).map(|(a, b)| (a.score, b.score));
        let binary = |score: f64| score == 0.0 || score == 1.0;
        if first.items.len() != second.items.len() || !scores().all(|(a, b)| binary(a) && binary(b))
        {
            return None;
        }
        let only_first = scores().filter(|(a, b)| a > b).count();
        let only_second = scores().filter(|(a, b)| a < b).count();
        let p_value = mcnemar(only_first, only_second);
        Some(McNemar { task: first.task.clone(), only_first, only_second, p_value })
    }
}

/// Two-sided p-value of the exact McNemar test: of `n` documents that one model alone got right, the number that are the
/// first model's is binomial with one half where the models are equally good, `p = min(1, 2 P(X ≤ least))` (McNemar,
/// Psychometrika 12, 1947, 153; the exact form as in Fagerland, Lydersen & Laake, BMC Medical Research Methodology 13,
/// 2013, 91, equation 3).
pub fn mcnemar(only_first: usize, only_second: usize) -> f64 {
    let (least, n) = (only_first.min(only_second), only_first + only_second);
    // From the largest term down: each is the one above it times k/(n-k+1).
    let mut term = ln_choose(n, least) - n as f64 * LN_2;
    let largest = term;
    let mut sum = 0.0;
    for k in (0..=least).rev() {
        sum += (term - largest).exp();
        term += (k as f64).ln() - ((n - k + 1) as f64).ln();
    }
    (LN_2 + largest + sum.ln()).exp().min(1.0)
}

fn ln_choose(n: usize, k: usize) -> f64 {
    (1..=k).map(|i| ((n - k + i) as f64).ln() - (i as f64).ln()).sum()
}
