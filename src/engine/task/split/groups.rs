//! Documents that must stay together: the connected components of "is a near duplicate of".
//!
//! Components, not cliques: when a is like b and b like c, a split that cuts between a and c still has to cut one of the
//! other two.

use super::shared::{Distinct, Shared};

/// Documents by group.
pub(super) struct Groups {
    /// By group, in the order of the smallest content hash in it: its documents, ascending.
    pub members: Vec<Vec<usize>>,
    /// By group: the smallest content hash in it.
    pub least_hashes: Vec<u64>,
    /// How many documents say just what another does, the first of each kind not counted.
    pub exact_duplicates: usize,
}

/// Groups texts. Neither the groups nor their order depend on the order of the texts.
pub(super) fn group(texts: &[&str]) -> Groups {
    let distinct = Distinct::new(texts);
    let roots = roots(&distinct.texts);
    let mut number = vec![0; roots.len()];
    let mut least_hashes = Vec::new();
    for (text, &root) in roots.iter().enumerate().filter(|(text, root)| text == *root) {
        number[root] = least_hashes.len();
        least_hashes.push(distinct.hashes[text]);
    }
    let mut members = vec![Vec::new(); least_hashes.len()];
    for (document, &text) in distinct.of.iter().enumerate() {
        members[number[roots[text]]].push(document);
    }
    Groups { members, least_hashes, exact_duplicates: texts.len() - distinct.texts.len() }
}

/// By text: the first text of its group.
fn roots(texts: &[&str]) -> Vec<usize> {
    let shared = Shared::new(texts, texts.len());
    let mut forest = Forest((0..texts.len()).collect());
    let mut counts = vec![0; texts.len()];
    for text in 0..texts.len() {
        shared.near_duplicates(text, text, &mut counts, |other, _| forest.join(text, other));
    }
    (0..texts.len()).map(|text| forest.root(text)).collect()
}

/// Disjoint sets; the least element is the root. Halving the paths alone is O(log n) amortised (Tarjan, van Leeuwen 1984).
struct Forest(Vec<usize>);

impl Forest {
    fn root(&mut self, mut x: usize) -> usize {
        while self.0[x] != x {
            self.0[x] = self.0[self.0[x]];
            x = self.0[x];
        }
        x
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}
