//! ML1's documents: whether a candidate gets one right depends on its accuracy and, where candidates correlate, on how hard
//! the document is for all of them.

use std::collections::BTreeMap;

use merge_search::outcome::{DocSubset, ItemScore, TaskScore};

use super::ml1::{SplitMix64, TASKS};

/// Documents per task.
pub const POOL: usize = 400;

/// Document j of task t is right for a candidate of accuracy a where z < Φ⁻¹(a), with z = √ρ Z + √(1 − ρ) ε: Z is the
/// document's, ε the candidate's and the document's. Without correlation that is a coin of bias a.
pub struct Documents {
    seed: u64,
    correlation: f64,
    /// Z by task and document.
    hardness: Vec<Vec<f64>>,
    most: usize,
    scored: usize,
    candidates: u64,
}

/// One candidate's answers so far, by task and document.
pub struct Sheet {
    candidate: u64,
    right: Vec<BTreeMap<u32, bool>>,
}

impl Sheet {
    pub fn scores(&self) -> Vec<TaskScore> {
        let item = |right: &bool| ItemScore {
            score: f64::from(u8::from(*right)),
            chosen: Some(u32::from(*right)),
            margin: 0.0,
        };
        let task = |(task, right): (usize, &BTreeMap<u32, bool>)| TaskScore {
            task: task.to_string(),
            items: right.values().map(item).collect(),
            others: Vec::new(),
        };
        self.right.iter().enumerate().map(task).collect()
    }
}

impl Documents {
    /// `most`: how many scores may be asked for.
    pub fn new(seed: u64, correlation: f64, most: usize) -> Self {
        let mut random = SplitMix64(seed);
        let mut normal = || {
            let (u, v) = (random.uniform(), random.uniform());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let hardness = (0..TASKS).map(|_| (0..POOL).map(|_| normal()).collect()).collect();
        Self { seed, correlation, hardness, most, scored: 0, candidates: 0 }
    }

    /// Empty ones for the next `count` candidates.
    pub fn sheets(&mut self, count: usize) -> Vec<Sheet> {
        let first = self.candidates;
        self.candidates += count as u64;
        let sheet = |candidate| Sheet { candidate, right: vec![BTreeMap::new(); TASKS] };
        (first..self.candidates).map(sheet).collect()
    }

    /// Lets the candidates `who` answer `docs`; `None` where that is more than may be asked for.
    pub fn score(
        &mut self,
        sheets: &mut [Sheet],
        who: &[usize],
        accuracies: &[[f64; TASKS]],
        docs: &DocSubset,
    ) -> Option<()> {
        let needed = who.len() * docs.docs();
        if self.scored + needed > self.most {
            return None;
        }
        self.scored += needed;
        for &index in who {
            let sheet = &mut sheets[index];
            for (task, positions) in docs.0.iter().enumerate() {
                let threshold = quantile(accuracies[index][task]);
                for &doc in positions {
                    let right = self.is_right(
                        sheet.candidate,
                        task,
                        doc,
                        accuracies[index][task],
                        threshold,
                    );
                    sheet.right[task].insert(doc, right);
                }
            }
        }
        Some(())
    }

    fn is_right(
        &self,
        candidate: u64,
        task: usize,
        doc: u32,
        accuracy: f64,
        threshold: f64,
    ) -> bool {
        let place = (candidate * TASKS as u64 + task as u64) * POOL as u64 + u64::from(doc);
        let mut random = SplitMix64(self.seed ^ SplitMix64(place).next());
        let share = match self.correlation {
            0.0 => accuracy,
            rho => {
                let shared = rho.sqrt() * self.hardness[task][doc as usize];
                normal_cdf((threshold - shared) / (1.0 - rho).sqrt())
            }
        };
        random.uniform() < share
    }

    pub fn scored(&self) -> usize {
        self.scored
    }
}

/// Φ, to 7.5e-8 (Abramowitz & Stegun 26.2.17).
fn normal_cdf(z: f64) -> f64 {
    let upper = super::compare::upper_tail(z.abs());
    if z > 0.0 { 1.0 - upper } else { upper }
}

/// Φ⁻¹ by bisection.
fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if normal_cdf(middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}
