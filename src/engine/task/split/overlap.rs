//! Documents that are in a file nobody may search on.

use super::shared::{Distinct, Shared};

/// A document that is, or is nearly, one of the forbidden.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// Index of the document.
    pub document: usize,
    /// Index of the forbidden text most like it; the first, if several are.
    pub forbidden: usize,
    /// Share of the n-grams of the one with fewer that are in both, in `[NEAR_DUPLICATE, 1]`; 1 for equal texts.
    pub share: f64,
}

/// The documents that are near duplicates of a forbidden text, ascending, each with the one most like it.
///
/// The share is of the shorter text's n-grams, so a document inside a forbidden text is found, and the other way round,
/// if the inner one has at least [`NGRAM_WORDS`](super::NGRAM_WORDS) words; shorter ones have to be equal. What is template in
/// either collection does not count, but equal texts overlap whatever they are made of.
pub fn overlaps(documents: &[&str], forbidden: &[&str]) -> Vec<Overlap> {
    let (left, right) = (Distinct::new(documents), Distinct::new(forbidden));
    let mut first = vec![usize::MAX; right.texts.len()];
    for (i, &text) in right.of.iter().enumerate().rev() {
        first[text] = i;
    }
    let best = most_alike(&left, &right, &first);
    let of_document = left.of.iter().enumerate();
    of_document
        .filter_map(|(document, &text)| {
            best[text].map(|(forbidden, share)| Overlap { document, forbidden, share })
        })
        .collect()
}

/// By distinct document: the forbidden text most like it and how much. `first` is where each distinct forbidden text is first.
fn most_alike(left: &Distinct, right: &Distinct, first: &[usize]) -> Vec<Option<(usize, f64)>> {
    // The forbidden come first in the index, since only texts before an end are looked at.
    let texts: Vec<&str> = right.texts.iter().chain(&left.texts).copied().collect();
    let shared = Shared::new(&texts, first.len());
    let mut counts = vec![0; texts.len()];
    let alike = left.hashes.iter().enumerate().map(|(i, hash)| {
        let mut best = right.hashes.binary_search(hash).ok().map(|text| (first[text], 1.0));
        shared.near_duplicates(first.len() + i, first.len(), &mut counts, |text, share| {
            let closer =
                |(at, most): (usize, f64)| share > most || (share == most && first[text] < at);
            if best.is_none_or(closer) {
                best = Some((first[text], share));
            }
        });
        best
    });
    alike.collect()
}
