//! Documents drawn again with replacement, within tasks.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution};

use super::Aggregate;
use super::pairs::Pairs;
use crate::units::Seed;

/// More kinds of documents than this are drawn one document at a time.
const FEW: usize = 8;

/// The differences of two models' aggregates in `resamples` draws of documents, ascending. The same documents are drawn
/// for both models.
pub(super) fn differences(
    aggregate: &Aggregate,
    pairs: &Pairs,
    seed: Seed,
    resamples: usize,
) -> Vec<f64> {
    let urns: Vec<Urn> = pairs.iter().map(|task| Urn::of(task)).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed.0);
    let mut means = (vec![0.0; urns.len()], vec![0.0; urns.len()]);
    let mut difference = || {
        for (task, urn) in urns.iter().enumerate() {
            (means.0[task], means.1[task]) = urn.draw(&mut rng);
        }
        aggregate.value(&means.0) - aggregate.value(&means.1)
    };
    let mut drawn: Vec<f64> = (0..resamples).map(|_| difference()).collect();
    drawn.sort_by(f64::total_cmp);
    drawn
}

/// One task's documents.
struct Urn {
    /// Ascending.
    documents: Vec<(f64, f64)>,
    /// Distinct pairs of scores, and how many documents have them.
    kinds: Vec<((f64, f64), u64)>,
}

impl Urn {
    fn of(task: &[(f64, f64)]) -> Urn {
        let mut documents = task.to_vec();
        documents.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let runs = documents.chunk_by(|a, b| a == b);
        let kinds = runs.map(|run| (run[0], run.len() as u64)).collect();
        Urn { documents, kinds }
    }

    /// Both models' means over as many documents as there are, drawn with replacement.
    fn draw(&self, rng: &mut ChaCha8Rng) -> (f64, f64) {
        let (mut first, mut second) = (0.0, 0.0);
        let mut add = |(a, b): (f64, f64), times: u64| {
            first += a * times as f64;
            second += b * times as f64;
        };
        match self.kinds.len() <= FEW {
            true => self.draw_kinds(rng, &mut add),
            false => (0..self.documents.len())
                .for_each(|_| add(self.documents[rng.random_range(0..self.documents.len())], 1)),
        }
        let documents = self.documents.len() as f64;
        (first / documents, second / documents)
    }

    /// A multinomial draw, one kind after the other: each is binomial among the draws that the kinds before it left.
    fn draw_kinds(&self, rng: &mut ChaCha8Rng, add: &mut impl FnMut((f64, f64), u64)) {
        let (mut draws, mut documents) = (self.documents.len() as u64, self.documents.len() as u64);
        for (pair, count) in &self.kinds {
            let share = *count as f64 / documents as f64;
            // A share of counts is a probability, so that there always is such a distribution.
            let times = Binomial::new(draws, share).map_or(0, |binomial| binomial.sample(rng));
            add(*pair, times);
            (draws, documents) = (draws - times, documents - count);
        }
    }
}
