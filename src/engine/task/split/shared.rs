//! Which n-grams texts have in common: an inverted index without the n-grams of one text and of very many.
//!
//! An n-gram in very many texts is the task's template ("the following is a multiple choice question about"), not what
//! a document says, and counts for nothing. "Very many" is more than [`limit`] of a collection. This bounds the work too:
//! a text is compared through an n-gram with at most a hundred others. Memory: some 24 bytes a word.

use super::ngrams::{NEAR_DUPLICATE, ngrams};

/// The most texts of a collection of `texts` that may have an n-gram in common before it is template.
///
/// One in a hundred, but ten in a collection of up to 1,000, half in a tiny one and four at the least: as many questions
/// are asked about one passage. Never more than a hundred.
pub(super) fn limit(texts: usize) -> usize {
    (texts / 2).clamp(4, 10).max((texts / 100).min(100))
}

/// The content n-grams that occur in more than one text of two collections, the second of which may be empty.
pub(super) struct Shared {
    /// Texts by n-gram: those from `ngrams[g]` to `ngrams[g + 1]` have `g` in common; ascending.
    texts: Vec<usize>,
    ngrams: Vec<usize>,
    /// N-grams by text: `text_ngrams` from `starts[t]` to `starts[t + 1]` are in `t`.
    text_ngrams: Vec<usize>,
    starts: Vec<usize>,
    /// By text: how many content n-grams it has, shared or not.
    sizes: Vec<usize>,
}

impl Shared {
    /// Of `texts`, the first `first` of which are one collection and the rest another.
    pub(super) fn new(texts: &[&str], first: usize) -> Self {
        let mut occurrences: Vec<(u64, usize)> = texts
            .iter()
            .enumerate()
            .flat_map(|(i, text)| ngrams(text).into_iter().map(move |ngram| (ngram, i)))
            .collect();
        occurrences.sort_unstable();
        let (left_limit, right_limit) = (limit(first), limit(texts.len() - first));
        let mut shared = Shared::without_ngrams(texts.len());
        for run in occurrences.chunk_by(|a, b| a.0 == b.0) {
            let left = run.partition_point(|&(_, text)| text < first);
            if left <= left_limit && run.len() - left <= right_limit {
                shared.push(run);
            }
        }
        drop(occurrences);
        shared.index_by_text();
        shared
    }

    fn without_ngrams(texts: usize) -> Self {
        Shared {
            texts: Vec::new(),
            ngrams: vec![0],
            text_ngrams: Vec::new(),
            starts: Vec::new(),
            sizes: vec![0; texts],
        }
    }

    /// Takes in one content n-gram with the texts it is in.
    fn push(&mut self, run: &[(u64, usize)]) {
        for &(_, text) in run {
            self.sizes[text] += 1;
        }
        if run.len() > 1 {
            self.texts.extend(run.iter().map(|&(_, text)| text));
            self.ngrams.push(self.texts.len());
        }
    }

    /// Counting sort of the occurrences by text.
    fn index_by_text(&mut self) {
        let mut next = vec![0; self.sizes.len() + 1];
        for &text in &self.texts {
            next[text + 1] += 1;
        }
        for t in 1..next.len() {
            next[t] += next[t - 1];
        }
        self.starts = next.clone();
        self.text_ngrams = vec![0; self.texts.len()];
        for (ngram, ends) in self.ngrams.windows(2).enumerate() {
            for &text in &self.texts[ends[0]..ends[1]] {
                self.text_ngrams[next[text]] = ngram;
                next[text] += 1;
            }
        }
    }

    /// Calls `found(other, share)` for the near duplicates of `text` among the texts before `end`, in ascending order;
    /// `counts` are zeros, one for each text, and are so again afterwards.
    pub(super) fn near_duplicates(
        &self,
        text: usize,
        end: usize,
        counts: &mut [usize],
        mut found: impl FnMut(usize, f64),
    ) {
        for other in self.neighbours(text, end, counts) {
            let smaller = self.sizes[text].min(self.sizes[other]);
            let share = counts[other] as f64 / smaller as f64;
            counts[other] = 0;
            if share >= NEAR_DUPLICATE {
                found(other, share);
            }
        }
    }

    /// The texts before `end` that have an n-gram in common with `text`, ascending, and how many in `counts`.
    fn neighbours(&self, text: usize, end: usize, counts: &mut [usize]) -> Vec<usize> {
        let mut neighbours = Vec::new();
        for &ngram in &self.text_ngrams[self.starts[text]..self.starts[text + 1]] {
            let with_it = &self.texts[self.ngrams[ngram]..self.ngrams[ngram + 1]];
            for &other in with_it.iter().take_while(|&&other| other < end) {
                if counts[other] == 0 {
                    neighbours.push(other);
                }
                counts[other] += 1;
            }
        }
        neighbours.sort_unstable();
        neighbours
    }
}

/// Texts that say the same thing, taken once.
pub(super) struct Distinct<'a> {
    /// One of each, in the order of their hashes.
    pub texts: Vec<&'a str>,
    /// Their hashes.
    pub hashes: Vec<u64>,
    /// By original text: its index in `texts`.
    pub of: Vec<usize>,
}

impl<'a> Distinct<'a> {
    pub(super) fn new(texts: &[&'a str]) -> Self {
        let of_text: Vec<u64> = texts.iter().map(|text| super::content_hash(text)).collect();
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&i| of_text[i]);
        let mut distinct =
            Distinct { texts: Vec::new(), hashes: Vec::new(), of: vec![0; texts.len()] };
        for i in order {
            if distinct.hashes.last() != Some(&of_text[i]) {
                distinct.hashes.push(of_text[i]);
                distinct.texts.push(texts[i]);
            }
            distinct.of[i] = distinct.texts.len() - 1;
        }
        distinct
    }
}
