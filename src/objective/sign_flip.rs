//! Whether a difference of aggregates is more than chance: a permutation test.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Aggregate;
use super::pairs::{PairingError, Pairs, pair};
use crate::outcome::TaskScore;
use crate::units::Seed;

/// Which differences count as extreme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// The first model better by at least as much.
    Greater,
    /// Either model better by at least as much.
    TwoSided,
}

/// How often chance is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws {
    /// At most so often.
    pub most: usize,
    /// No further when so many draws were as extreme as what was observed: the p-value is known well enough.
    pub enough: usize,
}

impl Draws {
    /// All of them.
    pub fn all(most: usize) -> Draws {
        Draws { most, enough: usize::MAX }
    }
}

/// P-value of the sign-flip permutation test of "no difference" between two models' aggregates on the same documents: if
/// the two are exchangeable, each document's answers may as well be swapped. The share of random swaps whose difference is
/// at least as extreme, with the `+1` of Phipson & Smyth (Statistical Applications in Genetics and Molecular Biology 9,
/// 2010, article 39); stopped early, the sequential one of Besag & Clifford (Biometrika 78, 1991, 301). Either is valid:
/// no true hypothesis has a p-value up to `p` more often than `p`. `seed` fixes the result.
///
/// # Errors
/// When the two were not measured on the same documents of the same tasks.
pub fn sign_flip(
    aggregate: &Aggregate,
    a: &[TaskScore],
    b: &[TaskScore],
    tail: Tail,
    seed: Seed,
    draws: Draws,
) -> Result<f64, PairingError> {
    Ok(of_pairs(aggregate, &pair(a, b)?, tail, seed, draws))
}

/// Differences this close are equal but for rounding of the logarithms.
const TIE: f64 = 1e-12;

pub(super) fn of_pairs(
    aggregate: &Aggregate,
    pairs: &Pairs,
    tail: Tail,
    seed: Seed,
    draws: Draws,
) -> f64 {
    let tasks: Vec<Swaps> = pairs.iter().map(|task| Swaps::of(task)).collect();
    let mut means = (vec![0.0; tasks.len()], vec![0.0; tasks.len()]);
    let mut difference = |moved: &mut dyn FnMut(&Swaps) -> f64| {
        for (task, swaps) in tasks.iter().enumerate() {
            (means.0[task], means.1[task]) = swaps.means(moved(swaps));
        }
        aggregate.value(&means.0) - aggregate.value(&means.1)
    };
    let observed = difference(&mut |_| 0.0);
    let mut coins = Coins::new(seed);
    let mut swap = |swaps: &Swaps| swaps.toss(&mut coins);
    let as_extreme = |drawn: f64| match tail {
        Tail::Greater => drawn >= observed - TIE,
        Tail::TwoSided => drawn.abs() >= observed.abs() - TIE,
    };
    let (mut drawn, mut extreme) = (0, 0);
    while drawn < draws.most && extreme < draws.enough {
        drawn += 1;
        extreme += usize::from(as_extreme(difference(&mut swap)));
    }
    match drawn < draws.most {
        true => extreme as f64 / drawn.max(1) as f64,
        false => (extreme + 1) as f64 / (drawn + 1) as f64,
    }
}

/// A task's documents as far as swapping is concerned: only those with different scores matter, and of these only how
/// many have which difference.
struct Swaps {
    documents: f64,
    sums: (f64, f64),
    /// First minus second score, of several documents, and how many they are.
    shared: Vec<(f64, u32)>,
    /// First minus second score of the other documents.
    single: Vec<f64>,
}

impl Swaps {
    fn of(task: &[(f64, f64)]) -> Swaps {
        let sums = task.iter().fold((0.0, 0.0), |sums, pair| (sums.0 + pair.0, sums.1 + pair.1));
        let differences = task.iter().map(|(a, b)| a - b);
        let mut differing: Vec<f64> = differences.filter(|by| *by != 0.0).collect();
        differing.sort_by(f64::total_cmp);
        let runs = || differing.chunk_by(|a, b| a == b);
        let shared = runs().filter(|run| run.len() > 1).map(|run| (run[0], run.len() as u32));
        let single = runs().filter(|run| run.len() == 1).map(|run| run[0]);
        Swaps {
            documents: task.len() as f64,
            sums,
            shared: shared.collect(),
            single: single.collect(),
        }
    }

    /// By how much the first sum falls and the second rises when each document is swapped with probability one half.
    fn toss(&self, coins: &mut Coins) -> f64 {
        let shared =
            self.shared.iter().map(|(by, documents)| by * f64::from(coins.heads(*documents)));
        let shared: f64 = shared.sum();
        shared + self.single.chunks(64).map(|single| coins.sum(single)).sum::<f64>()
    }

    fn means(&self, moved: f64) -> (f64, f64) {
        // What is left of nothing by rounding would not be nothing to a geometric mean.
        let mean = |sum: f64| if sum < TIE { 0.0 } else { sum / self.documents };
        (mean(self.sums.0 - moved), mean(self.sums.1 + moved))
    }
}

/// Fair coins, 64 from each random number.
struct Coins {
    rng: ChaCha8Rng,
    bits: u64,
    left: u32,
}

impl Coins {
    fn new(seed: Seed) -> Coins {
        Coins { rng: ChaCha8Rng::seed_from_u64(seed.0), bits: 0, left: 0 }
    }

    /// One bit for each of 1 to 64 coins.
    fn bits(&mut self, coins: u32) -> u64 {
        if coins > self.left {
            (self.bits, self.left) = (self.rng.next_u64(), 64);
        }
        let taken = self.bits & (u64::MAX >> (64 - coins));
        self.bits = self.bits.checked_shr(coins).unwrap_or(0);
        self.left -= coins;
        taken
    }

    /// Heads of so many coins.
    fn heads(&mut self, mut coins: u32) -> u32 {
        let mut heads = 0;
        while coins > 0 {
            let some = coins.min(64);
            heads += self.bits(some).count_ones();
            coins -= some;
        }
        heads
    }

    /// Of 1 to 64 numbers those that come up heads.
    fn sum(&mut self, numbers: &[f64]) -> f64 {
        let mut heads = self.bits(numbers.len() as u32);
        let mut sum = 0.0;
        while heads != 0 {
            sum += numbers[heads.trailing_zeros() as usize];
            heads &= heads - 1;
        }
        sum
    }
}
