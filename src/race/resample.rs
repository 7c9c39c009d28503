//! A candidate's score, and as it might have been had other documents been drawn.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::objective::Aggregate;
use crate::outcome::{DocSubset, TaskScore};
use crate::units::Seed;

/// How often each document of each task counts, in the order of its positions.
pub(super) type Counts = Vec<Vec<u32>>;
/// For who saw the first block only, and for who saw all.
pub(super) type Draw = (Counts, Counts);

/// The aggregate of the tasks' scores, each drawn towards ½ by one document: (Σ + ½)/(n + 1). Of a few documents of a
/// hard task none may be right, and a geometric mean would then forget the other tasks.
pub(super) fn score(aggregate: &Aggregate, tasks: &[TaskScore]) -> f64 {
    let of_task = |task: &TaskScore| {
        shrunk(task.items.iter().map(|item| item.score).sum(), task.items.len() as f64)
    };
    aggregate.value(&tasks.iter().map(of_task).collect::<Vec<_>>())
}

/// As [`score`], of documents that count so often.
pub(super) fn resampled(aggregate: &Aggregate, tasks: &[TaskScore], counts: &Counts) -> f64 {
    let of_task = |(task, counts): (&TaskScore, &Vec<u32>)| {
        let counted = task.items.iter().zip(counts);
        let sum = counted.map(|(item, &count)| f64::from(count) * item.score).sum();
        shrunk(sum, counts.iter().sum::<u32>().into())
    };
    aggregate.value(&tasks.iter().zip(counts).map(of_task).collect::<Vec<_>>())
}

fn shrunk(sum: f64, docs: f64) -> f64 {
    (sum + 0.5) / (docs + 1.0)
}

/// Bootstrap draw `index` of generation `generation`: documents with replacement, as many of each task's first block and
/// of its later ones as there were.
pub(super) fn draw(
    first: &DocSubset,
    all: &DocSubset,
    seed: Seed,
    generation: u64,
    index: usize,
) -> Draw {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.0);
    // The streams of `Rotation` are numbered by task, from 0; these come down from the other end.
    rng.set_stream(u64::MAX - generation);
    rng.set_word_pos(u128::from(index as u64) << 32);
    let of_task = |(first, all): (&Vec<u32>, &Vec<u32>)| {
        let in_first = |doc: &u32| first.binary_search(doc).is_ok();
        let mut drawn = vec![0; all.len()];
        for stratum in [true, false] {
            let places: Vec<usize> =
                (0..all.len()).filter(|&at| in_first(&all[at]) == stratum).collect();
            for _ in &places {
                drawn[places[rng.random_range(0..places.len())]] += 1;
            }
        }
        let early = all.iter().zip(&drawn).filter(|(doc, _)| in_first(doc));
        (early.map(|(_, count)| *count).collect(), drawn)
    };
    first.0.iter().zip(&all.0).map(of_task).unzip()
}
