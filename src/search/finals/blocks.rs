//! In which portions the finalists see the selection documents.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::outcome::{DocSubset, TaskScore};
use crate::units::Seed;

/// Shares of each task's documents that have been seen at the end of the blocks before the last.
const SEEN: [f64; 2] = [0.25, 0.5];

/// The documents that have been seen after each block; `None`: all of them. Each has those of the one before; which they
/// are, is drawn for each task. There is at least one of each task. `documents` is their number, task by task.
pub(in crate::search) fn blocks(documents: &[usize], seed: Seed) -> Vec<Option<DocSubset>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.0);
    let shuffled: Vec<Vec<u32>> = (documents.iter())
        .map(|documents| {
            let mut positions: Vec<u32> = (0..*documents as u32).collect();
            positions.shuffle(&mut rng);
            positions
        })
        .collect();
    let seen = SEEN
        .map(|share| DocSubset(shuffled.iter().map(|positions| first(positions, share)).collect()));
    let parts = seen.into_iter().filter(|seen| !seen.is_whole(documents));
    parts.map(Some).chain([None]).collect()
}

fn first(shuffled: &[u32], share: f64) -> Vec<u32> {
    let seen = (share * shuffled.len() as f64).ceil() as usize;
    let mut positions: Vec<u32> = shuffled.iter().take(seen).copied().collect();
    positions.sort_unstable();
    positions
}

/// What of a whole split's scores was measured on `documents`; `None`: all of it. Metrics that are not judged are known of
/// the whole split only.
pub(in crate::search) fn scores_on(
    tasks: &[TaskScore],
    documents: Option<&DocSubset>,
) -> Vec<TaskScore> {
    let Some(DocSubset(documents)) = documents else {
        return tasks.to_vec();
    };
    let cut = |(task, positions): (&TaskScore, &Vec<u32>)| TaskScore {
        task: task.task.clone(),
        items: positions.iter().filter_map(|doc| task.items.get(*doc as usize).copied()).collect(),
        others: Vec::new(),
    };
    tasks.iter().zip(documents).map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_has_the_one_before() {
        let blocks = blocks(&[100, 7, 1], Seed(3));
        let [Some(first), Some(second), None] = &blocks[..] else { panic!("{blocks:?}") };
        let sizes = |seen: &DocSubset| seen.0.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!((sizes(first), sizes(second)), (vec![25, 2, 1], vec![50, 4, 1]));
        assert!(first.fits(&[100, 7, 1]) && second.fits(&[100, 7, 1]) && second.contains(first));
    }

    #[test]
    fn single_documents_make_one_block() {
        assert_eq!(blocks(&[1, 1], Seed(3)), [None]);
    }

    #[test]
    fn another_seed_draws_other_documents() {
        assert_ne!(blocks(&[100], Seed(1)), blocks(&[100], Seed(2)));
        assert_eq!(blocks(&[100], Seed(1)), blocks(&[100], Seed(1)));
    }
}
