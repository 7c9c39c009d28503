//! Some of a split's documents.

/// Documents of a split: for each task, in task order, ascending positions within the split's scored documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocSubset(pub Vec<Vec<u32>>);

impl DocSubset {
    /// All of the split's documents, of which there are `docs` by task.
    pub fn whole(docs: &[usize]) -> Self {
        DocSubset(docs.iter().map(|&docs| (0..docs as u32).collect()).collect())
    }

    /// Of these documents those at `places`, task by task.
    pub fn at(&self, places: &DocSubset) -> Self {
        let of_task = |(docs, places): (&Vec<u32>, &Vec<u32>)| {
            places.iter().filter_map(|&place| docs.get(place as usize).copied()).collect()
        };
        DocSubset(self.0.iter().zip(&places.0).map(of_task).collect())
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

    /// Those of either.
    pub fn with(&self, other: &DocSubset) -> DocSubset {
        let tasks = self.0.len().max(other.0.len());
        let of_task = |docs: &DocSubset, task: usize| docs.0.get(task).cloned().unwrap_or_default();
        let both = |task: usize| {
            let mut docs = [of_task(self, task), of_task(other, task)].concat();
            docs.sort_unstable();
            docs.dedup();
            docs
        };
        DocSubset((0..tasks).map(both).collect())
    }

    /// Whether `self` has all of `other`.
    pub fn contains(&self, other: &DocSubset) -> bool {
        other.without(self).docs() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_a_split_by_hand() {
        let fits = |docs: &[&[u32]]| {
            DocSubset(docs.iter().map(|docs| docs.to_vec()).collect()).fits(&[3, 0])
        };
        assert!(fits(&[&[], &[]]) && fits(&[&[0, 2], &[]]) && fits(&[&[0, 1, 2], &[]]));
        assert!(!fits(&[&[0, 3], &[]]), "there is no fourth document");
        assert!(!fits(&[&[1, 1], &[]]) && !fits(&[&[2, 1], &[]]), "not ascending");
        assert!(!fits(&[&[0], &[0]]) && !fits(&[&[0]]) && !fits(&[&[], &[], &[]]));
        assert!(DocSubset::whole(&[3, 0]).is_whole(&[3, 0]));
        assert!(!DocSubset(vec![vec![0, 1], vec![]]).is_whole(&[3, 0]));
    }

    #[test]
    fn differences_by_hand() {
        let (all, some) =
            (DocSubset(vec![vec![0, 1, 4], vec![2]]), DocSubset(vec![vec![1], vec![]]));
        assert_eq!(all.without(&some), DocSubset(vec![vec![0, 4], vec![2]]));
        assert_eq!(all.without(&some).with(&some), all);
        assert!(all.contains(&some) && !some.contains(&all) && all.contains(&all));
        assert_eq!((all.docs(), some.without(&all).docs()), (4, 0));
    }
}
