//! Which documents a generation sees: a few always, the others in turn.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::outcome::DocSubset;
use crate::units::Seed;

/// The documents of every task in a random order: anchors, then a ring of the others from which each generation takes
/// the next ones. Of however many documents, the same share are anchors.
#[derive(Debug, Clone)]
pub(super) struct Rotation {
    anchor_share: f64,
    tasks: Vec<Ring>,
}

#[derive(Debug, Clone)]
struct Ring {
    anchors: Vec<u32>,
    others: Vec<u32>,
    /// Place in `others` of the next one.
    next: usize,
}

impl Rotation {
    /// Of tasks with so many documents, of which a generation takes at most `most`.
    pub(super) fn new(docs_per_task: &[usize], anchor_share: f64, most: usize, seed: Seed) -> Self {
        let ring = |(task, &docs): (usize, &usize)| {
            let mut all: Vec<u32> = (0..docs as u32).collect();
            all.shuffle(&mut task_rng(seed, task as u64));
            let others = all.split_off(share_of(anchor_share, most.min(docs)));
            Ring { anchors: all, others, next: 0 }
        };
        Self { anchor_share, tasks: docs_per_task.iter().enumerate().map(ring).collect() }
    }

    /// The next `take` documents of each task; fewer where it has fewer. All of those of a smaller `take` are among those
    /// of a larger one.
    pub(super) fn first(&self, take: usize) -> DocSubset {
        DocSubset(self.tasks.iter().map(|ring| ring.first(take, self.anchor_share)).collect())
    }

    /// Turns the rings past the next `take` documents.
    pub(super) fn turn(&mut self, take: usize) {
        for ring in &mut self.tasks {
            let (_, fresh) = ring.split(take, self.anchor_share);
            ring.next = (ring.next + fresh).checked_rem(ring.others.len()).unwrap_or(0);
        }
    }
}

impl Ring {
    /// How many of the next `take` are anchors, and how many are not.
    fn split(&self, take: usize, anchor_share: f64) -> (usize, usize) {
        let take = take.min(self.anchors.len() + self.others.len());
        let anchors = share_of(anchor_share, take).min(self.anchors.len());
        let fresh = (take - anchors).min(self.others.len());
        (take - fresh, fresh)
    }

    fn first(&self, take: usize, anchor_share: f64) -> Vec<u32> {
        let (anchors, fresh) = self.split(take, anchor_share);
        let others = self.others.iter().cycle().skip(self.next).take(fresh);
        let mut docs: Vec<u32> = self.anchors.iter().take(anchors).chain(others).copied().collect();
        docs.sort_unstable();
        docs
    }
}

/// ⌊`share` · `docs`⌋, at most `docs`.
fn share_of(share: f64, docs: usize) -> usize {
    ((share * docs as f64) as usize).min(docs)
}

fn task_rng(seed: Seed, task: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.0);
    rng.set_stream(task);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Whatever is taken of it: no document twice in a generation, its share of anchors, the others equally often.
        #[test]
        fn anchors_always_and_the_others_in_turn(
            docs in prop::collection::vec(0usize..40, 1..4),
            anchor_share in 0.0f64..1.0,
            takes in prop::collection::vec(0usize..30, 1..30),
            seed: u64,
        ) {
            let mut rotation = Rotation::new(&docs, anchor_share, 30, Seed(seed));
            let mut taken: Vec<Vec<usize>> = docs.iter().map(|&docs| vec![0; docs]).collect();
            for &take in &takes {
                let subset = rotation.first(take);
                prop_assert!(subset.fits(&docs));
                prop_assert!(subset.contains(&rotation.first(take / 2)));
                for ((task, positions), docs) in taken.iter_mut().zip(&subset.0).zip(&docs) {
                    prop_assert_eq!(positions.len(), take.min(*docs));
                    positions.iter().for_each(|&doc| task[doc as usize] += 1);
                }
                rotation.turn(take);
            }
            for ((ring, taken), docs) in rotation.tasks.iter().zip(&taken).zip(&docs) {
                let share = |take: usize| (anchor_share * take.min(*docs) as f64) as usize;
                for (place, &anchor) in ring.anchors.iter().enumerate() {
                    let least = takes.iter().filter(|&&take| share(take) > place).count();
                    prop_assert!(taken[anchor as usize] >= least);
                }
                let others: Vec<usize> = ring.others.iter().map(|&doc| taken[doc as usize]).collect();
                let (least, most) = (others.iter().min().copied(), others.iter().max().copied());
                prop_assert!(most.unwrap_or(0) - least.unwrap_or(0) <= 1);
            }
        }
    }

    #[test]
    fn three_generations_by_hand() {
        let ring = Ring { anchors: vec![7, 2], others: vec![5, 0, 9, 1], next: 0 };
        let mut rotation = Rotation { anchor_share: 0.25, tasks: vec![ring] };
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(rotation.first(4).0.concat());
            rotation.turn(4);
        }
        assert_eq!(
            taken,
            [[0, 5, 7, 9], [0, 1, 5, 7], [1, 5, 7, 9]].map(|mut docs| {
                docs.sort_unstable();
                docs.to_vec()
            })
        );
        assert_eq!(rotation.first(6).0.concat(), [0, 1, 2, 5, 7, 9]);
    }
}
