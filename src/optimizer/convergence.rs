//! When a run of CMA-ES is over: the criteria of Hansen's tutorial (arXiv:1604.00772), appendix B.3,
//! that look at costs. Those that look at the distribution are [`Gaussian::exhausted`].
//!
//! Under noise none may fire early. Stagnation compares medians over dozens of generations, so that
//! noise does not hide progress. The two tolerances ask for costs that agree to the eleventh digit
//! over as many generations: measured scores of candidates that differ do not.

use super::gaussian::Gaussian;

/// Least range of costs, over a generation and over the recent best (TolFun).
const TOL_FUN: f64 = 1e-11;
/// Least range of the recent best costs (EqualFunValues, with room for rounding).
const TOL_FUN_HIST: f64 = 1e-12;
/// Generations beyond which stagnation looks no further back.
const MOST_REMEMBERED: usize = 20_000;

/// Costs of the generations of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    best: Vec<f64>,
    median: Vec<f64>,
    /// Range of the last generation's costs.
    range: f64,
    /// Mean of the last generation's finite costs.
    pub(super) mean: Option<f64>,
}

impl History {
    /// Remembers a generation's costs, at least one, none NaN.
    pub(super) fn push(&mut self, costs: &[f64]) {
        let mut sorted = costs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let finite: Vec<f64> = sorted.iter().copied().filter(|c| c.is_finite()).collect();
        self.mean = (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64);
        self.range = spread(&sorted);
        self.best.extend(sorted.first());
        self.median.extend(sorted.get(sorted.len() / 2));
    }

    /// Whether a run over `n` genes with populations of `lambda` has converged.
    pub(super) fn over(&self, gaussian: Option<&Gaussian>, n: usize, lambda: usize) -> bool {
        let recent = 10 + (30 * n).div_ceil(lambda);
        self.flat(recent)
            || self.stagnates(110 + recent)
            || gaussian.is_some_and(Gaussian::exhausted)
    }

    /// TolFun and EqualFunValues over the `recent` last generations.
    fn flat(&self, recent: usize) -> bool {
        let Some(last) = self.best.len().checked_sub(recent) else { return false };
        let range = spread(&self.best[last..]);
        range < TOL_FUN_HIST || (range < TOL_FUN && self.range < TOL_FUN)
    }

    /// Over the last fifth of the run, but at least `least` generations: neither the best nor the
    /// median costs of the newest 30 % are lower than those of the oldest.
    fn stagnates(&self, least: usize) -> bool {
        let generations = self.best.len();
        let window = least.max(generations / 5).min(MOST_REMEMBERED.max(least));
        let Some(from) = generations.checked_sub(window) else { return false };
        let share = 3 * window / 10;
        let stands = |history: &[f64]| {
            let window = &history[from..];
            median(&window[window.len() - share..]) >= median(&window[..share])
        };
        stands(&self.best) && stands(&self.median)
    }
}

/// Largest minus least; infinite or NaN where costs are infinite.
fn spread(costs: &[f64]) -> f64 {
    let fold = |pick: fn(f64, f64) -> f64, from| costs.iter().copied().fold(from, pick);
    fold(f64::max, f64::NEG_INFINITY) - fold(f64::min, f64::INFINITY)
}

fn median(costs: &[f64]) -> f64 {
    let mut sorted = costs.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::INFINITY)
}
