//! The documents that models are timed on.

use crate::outcome::DocSubset;

/// One of so many documents of a split.
const ONE_OF: usize = 20;
/// Documents at least, if the split has as many: with a few, one long document would be most of the block.
const FEWEST: usize = 24;

/// A fixed part of a split that has `docs` documents by task: a twentieth, every task with its share, spread over the task.
pub(super) fn timing_block(docs: &[usize]) -> DocSubset {
    let all: usize = docs.iter().sum();
    let wanted = (all / ONE_OF).max(FEWEST).min(all);
    let of_task = |&docs: &usize| {
        let share = (docs * wanted).div_ceil(all.max(1));
        (0..share).map(|index| ((2 * index + 1) * docs / (2 * share)) as u32).collect()
    };
    DocSubset(docs.iter().map(of_task).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_by_hand() {
        assert_eq!(timing_block(&[3, 0, 2]), DocSubset::whole(&[3, 0, 2]));
        let block = timing_block(&[1000, 40]);
        assert_eq!(block.0.iter().map(Vec::len).collect::<Vec<_>>(), [50, 2]);
        assert_eq!((block.0[0][0], block.0[0][49]), (10, 990), "the middles of fiftieths");
        assert_eq!(block.0[1], [10, 30]);
    }

    proptest! {
        #[test]
        fn a_block_is_a_twentieth_of_every_task(docs in prop::collection::vec(0_usize..400, 1..6)) {
            let block = timing_block(&docs);
            prop_assert!(block.fits(&docs));
            let all: usize = docs.iter().sum();
            prop_assert!(block.docs() >= all.min(24) && block.docs() <= (all / 20).max(24) + docs.len());
            for (own, &docs) in block.0.iter().zip(&docs) {
                prop_assert_eq!(own.is_empty(), docs == 0);
            }
        }
    }
}
