//! Which elements of a task vector take part, and what they are multiplied by to make up for the others.

use rayon::prelude::*;

use crate::recipe::RescaleRule;

use super::MaskKey;
use super::cut::{Band, Cut};
use super::fused::{self, KeptPart};
use super::kernels::{BLOCK, keep_masked, multiply, sum_of_magnitudes};
use super::prepared::Ranking;
use super::task_vector::TaskVector;

/// How the elements that take part are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sparsifier {
    /// All of them.
    None,
    /// TIES: the `density` largest. A density above 0 keeps at least one element, as mergekit does since 0.1.5.
    Magnitude {
        /// Share that is kept.
        density: f64,
    },
    /// Model breadcrumbs (Davari & Belilovsky 2023, arXiv:2312.06795): the `density` largest below the `gamma` very
    /// largest; where both do not fit, fewer of the very largest are dropped.
    Outliers {
        /// Share that is kept.
        density: f64,
        /// Share of the largest that is dropped.
        gamma: f64,
    },
    /// DARE: each with probability `density`.
    Random {
        /// Probability.
        density: f64,
    },
    /// DELLA: with a probability around `density` that rises with the rank in the row.
    Ranked {
        /// Mean probability.
        density: f64,
        /// How far the probability of the smallest lies below, and that of the largest above.
        epsilon: f64,
    },
}

/// A choice of elements and their factor.
#[derive(Debug)]
pub(super) struct Sparse {
    kept: Kept,
    pub(super) factor: f32,
}

#[derive(Debug)]
enum Kept {
    All,
    Nothing,
    Band(Band),
    /// One bit per element.
    Mask(Vec<u64>),
    /// A factor for each element, 0 for those left out.
    Factors(Vec<f32>),
}

/// L1 norms below this are not scaled to.
const ZERO_NORM: f64 = 1e-7;

/// Elements that one thread sums at a time. Fixed: the order of a sum decides its last bit.
const SHARE: usize = 1 << 20;

impl Sparsifier {
    /// Makes the choice. `rescale` is how what is kept makes up for the rest.
    pub(super) fn choose(
        self,
        vector: TaskVector,
        rescale: Option<RescaleRule>,
        key: MaskKey,
        ranking: &Ranking,
    ) -> Sparse {
        let kept = self.kept(vector, key, ranking);
        let factor = match (rescale, &kept, self) {
            (None, _, _) | (_, Kept::All | Kept::Nothing, _) => 1.0,
            (Some(RescaleRule::L1), _, _) => l1_factor(vector, &kept),
            (Some(RescaleRule::Density), _, Sparsifier::Ranked { density, epsilon }) => {
                let factors = inverse_probabilities(&kept, vector, ranking, density, epsilon);
                return Sparse { kept: Kept::Factors(factors), factor: 1.0 };
            }
            (Some(RescaleRule::Density), _, Sparsifier::Random { density }) => {
                (1.0 / density) as f32
            }
            (Some(RescaleRule::Density), _, _) => 1.0,
        };
        Sparse { kept, factor }
    }

    fn kept(self, vector: TaskVector, key: MaskKey, ranking: &Ranking) -> Kept {
        let n = vector.len();
        let share = |share: f64| (share * n as f64) as usize;
        match self {
            Sparsifier::None => Kept::All,
            _ if self.density() >= 1.0 || n == 0 => Kept::All,
            _ if self.density() <= 0.0 => Kept::Nothing,
            Sparsifier::Magnitude { density } => {
                let [among] = ranking.cuts(vector, [share(density).max(1)]);
                Kept::Band(Band { among, without: Cut::NONE })
            }
            Sparsifier::Outliers { density, gamma } => {
                let kept = share(density);
                let smallest = n.saturating_sub(kept + share(gamma));
                let [among, without] = ranking.cuts(vector, [n - smallest, n - smallest - kept]);
                Kept::Band(Band { among, without })
            }
            Sparsifier::Random { density } => Kept::Mask(key.draw(density, n)),
            Sparsifier::Ranked { density, epsilon } => {
                let ranks = ranking.rows(vector);
                Kept::Mask(key.draw_by(n, |i| ranks.probability(i, density, epsilon)))
            }
        }
    }

    fn density(self) -> f64 {
        match self {
            Sparsifier::None => 1.0,
            Sparsifier::Magnitude { density }
            | Sparsifier::Outliers { density, .. }
            | Sparsifier::Random { density }
            | Sparsifier::Ranked { density, .. } => density,
        }
    }
}

impl Sparse {
    /// As the fused loops take it, from an element on up to the next of [`Sparse::changes`].
    pub(super) fn part(&self, start: usize) -> Option<KeptPart<'_>> {
        self.kept.part(start)
    }

    /// Indices from which on [`Sparse::part`] is another.
    pub(super) fn changes(&self) -> [usize; 2] {
        self.kept.changes()
    }

    /// Elements from `start`, a multiple of 64, with those left out at 0, not yet multiplied by the factor.
    pub(super) fn keep(&self, start: usize, delta: &mut [f32]) {
        self.kept.keep(start, delta);
    }
}

impl Kept {
    /// As the fused loops take it, from an element on; `None` where each has a factor of its own.
    fn part(&self, start: usize) -> Option<KeptPart<'_>> {
        match self {
            Kept::All => Some(KeptPart::All),
            Kept::Nothing => Some(KeptPart::Between(u32::MAX, u32::MAX)),
            Kept::Band(band) => {
                let (least, below) = band.bounds(start);
                Some(KeptPart::Between(least, below))
            }
            Kept::Mask(bits) => Some(KeptPart::Mask(bits)),
            Kept::Factors(_) => None,
        }
    }

    /// Indices from which on [`Kept::part`] is another.
    fn changes(&self) -> [usize; 2] {
        match self {
            Kept::Band(band) => band.changes(),
            _ => [0; 2],
        }
    }

    fn keep(&self, start: usize, delta: &mut [f32]) {
        match self {
            Kept::All => {}
            Kept::Nothing => delta.fill(0.0),
            Kept::Band(band) => band.keep(start, delta),
            Kept::Mask(bits) => keep_masked(delta, &bits[start / 64..]),
            Kept::Factors(factors) => multiply(delta, &factors[start..]),
        }
    }
}

/// What gives the kept part the L1 norm of the whole, unless one of the two norms is next to nothing.
fn l1_factor(vector: TaskVector, kept: &Kept) -> f32 {
    let shares: Vec<(f64, f64)> = (0..vector.len().div_ceil(SHARE))
        .into_par_iter()
        .map(|share| norms(vector, kept, share * SHARE))
        .collect();
    let (before, after) = shares.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    if before >= ZERO_NORM && after >= ZERO_NORM { (before / after) as f32 } else { 1.0 }
}

fn norms(vector: TaskVector, kept: &Kept, first: usize) -> (f64, f64) {
    let end = vector.len().min(first + SHARE);
    let (mut before, mut after) = (0.0, 0.0);
    let mut delta = [0.0; BLOCK];
    let mut done = first;
    if let Kept::Mask(bits) = kept {
        let (kept, count) = (KeptPart::Mask(bits), end - first);
        if let Some(sums) = fused::norms(vector.base, vector.expert, kept, first, count) {
            (before, after) = sums;
            done += count / fused::STEP * fused::STEP;
        }
    }
    for start in (done..end).step_by(BLOCK) {
        let delta = &mut delta[..BLOCK.min(end - start)];
        vector.read(start, delta);
        before += sum_of_magnitudes(delta);
        kept.keep(start, delta);
        after += sum_of_magnitudes(delta);
    }
    (before, after)
}

fn inverse_probabilities(
    kept: &Kept,
    vector: TaskVector,
    ranking: &Ranking,
    density: f64,
    epsilon: f64,
) -> Vec<f32> {
    let ranks = ranking.rows(vector);
    let inverse = |i| (1.0 / ranks.probability(i, density, epsilon)) as f32;
    let mut factors: Vec<f32> = (0..vector.len()).map(inverse).collect();
    kept.keep(0, &mut factors);
    factors
}
