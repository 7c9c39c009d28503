//! How the scores rose with the number of trials.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::Trial;

/// The course of a search on the search split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Convergence {
    /// After 1, 2, 5, 10, 20, 50, … trials and after the last.
    pub best_so_far: Vec<BestSoFar>,
    /// Best objective after every trial; 0 as long as none was feasible.
    pub course: Vec<f64>,
    /// In order.
    pub generations: Vec<GenerationScores>,
}

/// Best of the first trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BestSoFar {
    /// How many.
    pub trials: usize,
    /// Its objective.
    pub best: f64,
}

/// Scores of one generation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GenerationScores {
    /// Its number.
    pub generation: u64,
    /// Candidates that could be scored.
    pub feasible: usize,
    /// Candidates that could not.
    pub infeasible: usize,
    /// Documents that were scored, over all candidates.
    pub items: usize,
    /// Median objective of the feasible.
    pub median: Option<f64>,
    /// Highest objective.
    pub best: Option<f64>,
}

impl Convergence {
    /// Of `candidates` in the order they were scored.
    pub(super) fn of(candidates: &[&Trial]) -> Convergence {
        let course: Vec<f64> = (candidates.iter())
            .scan(0.0, |best, trial| {
                *best = f64::max(*best, trial.objective.map_or(0.0, |score| score.value));
                Some(*best)
            })
            .collect();
        Convergence {
            best_so_far: (milestones(course.len()).into_iter())
                .map(|trials| BestSoFar { trials, best: course[trials - 1] })
                .collect(),
            generations: generations(candidates),
            course,
        }
    }
}

/// 1, 2, 5, 10, … below `last`, and `last` (nothing for 0).
fn milestones(last: usize) -> Vec<usize> {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|step| step * 10usize.pow(power)));
    (steps.take_while(|&step| step < last)).chain((last > 0).then_some(last)).collect()
}

fn generations(candidates: &[&Trial]) -> Vec<GenerationScores> {
    let mut scores: BTreeMap<u64, (Vec<Option<f64>>, usize)> = BTreeMap::new();
    for trial in candidates {
        let (scores, items) = scores.entry(trial.generation).or_default();
        scores.push(trial.objective.map(|score| score.value));
        *items += super::items(trial);
    }
    (scores.into_iter())
        .map(|(generation, (scores, items))| {
            let mut feasible: Vec<f64> = scores.iter().copied().flatten().collect();
            feasible.sort_by(f64::total_cmp);
            GenerationScores {
                generation,
                feasible: feasible.len(),
                infeasible: scores.len() - feasible.len(),
                items,
                median: median(&feasible),
                best: feasible.last().copied(),
            }
        })
        .collect()
}

fn median(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}
