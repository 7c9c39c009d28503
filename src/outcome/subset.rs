//! Some of a split's documents.

/// Documents of a split: for each task, in task order, ascending positions within the split's scored documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocSubset(pub Vec<Vec<u32>>);

impl DocSubset {
    /// All of the split's documents, of which there are `docs` by task.
    pub fn whole(docs: &[usize]) -> Self {
        DocSubset(docs.iter().map(|&docs| (0..docs as u32).collect()).collect())
    }

    /// Number of documents over all tasks.
    pub fn docs(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Whether these are documents of a split that has `docs` of them by task: as many tasks, and positions that ascend
    /// and are there.
    pub fn fits(&self, docs: &[usize]) -> bool {
        let ascending = |positions: &[u32]| positions.is_sorted_by(|a, b| a < b);
        let there = |(positions, &docs): (&Vec<u32>, &usize)| {
            ascending(positions) && positions.last().is_none_or(|&last| (last as usize) < docs)
        };
        self.0.len() == docs.len() && self.0.iter().zip(docs).all(there)
    }

    /// Whether these are all documents of a split that has `docs` of them by task.
    pub fn is_whole(&self, docs: &[usize]) -> bool {
        self.fits(docs) && self.docs() == docs.iter().sum::<usize>()
    }

    /// Those of `self` that `other` does not have.
    pub fn without(&self, other: &DocSubset) -> DocSubset {
        let theirs = |task: usize| other.0.get(task).map_or(&[][..], Vec::as_slice);
        let rest = |(task, own): (usize, &Vec<u32>)| {
            let absent = |doc: &&u32| theirs(task).binary_search(doc).is_err();
            own.iter().filter(absent).copied().collect()
        };
        DocSubset(self.0.iter().enumerate().map(rest).collect())
    }

    /// Whether `self` has all of `other`.
    pub fn contains(&self, other: &DocSubset) -> bool {
        other.without(self).docs() == 0
    }
}
