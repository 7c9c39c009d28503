//! Which beginnings that many sequences share are worth computing apart, once per model instead of once per pack.

use std::ops::Range;

use crate::model::{Sequence, common_prefix};

/// Shorter beginnings cost less than reading their keys and values from elsewhere.
const SHORTEST: usize = 32;
/// Nested beginnings are looked for this deep.
const LEVELS: usize = 32;

/// A beginning that neighbours share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The neighbours.
    pub members: Range<usize>,
    /// Number of tokens; below the index of any predicted token.
    pub length: usize,
}

/// Neighbours in sorted order, by what each shares with the one before.
struct Sorted<'a> {
    sequences: &'a [&'a Sequence],
    /// With the one before; 0 for the first.
    shared: Vec<usize>,
    tokens_per_pack: usize,
}

/// The headers, in order and apart from each other, that save the most tokens when the rest is cut into packs of
/// `tokens_per_pack`; `sequences` are sorted by their tokens.
pub(super) fn headers(sequences: &[&Sequence], tokens_per_pack: usize) -> Vec<Header> {
    let mut shared = vec![0; sequences.len()];
    for (pair, shared) in sequences.windows(2).zip(shared.iter_mut().skip(1)) {
        *shared = common_prefix(pair[0].inputs(), pair[1].inputs());
    }
    let sorted = Sorted { sequences, shared, tokens_per_pack };
    sorted.best(0..sequences.len(), LEVELS).1
}

impl Sorted<'_> {
    /// Tokens saved by the best headers within `members`, and these headers: one for all, or those of its parts.
    fn best(&self, members: Range<usize>, levels: usize) -> (usize, Vec<Header>) {
        if levels == 0 || members.len() < 2 || self.packs(&members, 0) < 2 {
            return (0, Vec::new());
        }
        let common = self.shared[members.start + 1..members.end].iter().copied().min();
        let common = common.unwrap_or(0);
        let (mut saved, mut headers) = (0, Vec::new());
        for part in self.parts(&members, common) {
            let (more, of_part) = self.best(part, levels - 1);
            saved += more;
            headers.extend(of_part);
        }
        let length = common.min(self.first_scored(&members).saturating_sub(1));
        let by_one = (self.packs(&members, length) - 1) * length;
        if length >= SHORTEST && by_one >= saved && by_one > 0 {
            return (by_one, vec![Header { members, length }]);
        }
        (saved, headers)
    }

    /// Cut wherever no more than `common` tokens are shared.
    fn parts(&self, members: &Range<usize>, common: usize) -> Vec<Range<usize>> {
        let inner = members.start + 1..members.end;
        let mut cuts = vec![members.start];
        cuts.extend(inner.filter(|index| self.shared[*index] <= common));
        cuts.push(members.end);
        cuts.windows(2).map(|ends| ends[0]..ends[1]).collect()
    }

    /// How many packs what follows the first `length` tokens makes, at least one.
    fn packs(&self, members: &Range<usize>, length: usize) -> usize {
        let inputs = |index: usize| self.sequences[index].inputs().len();
        let inner = members.start + 1..members.end;
        let more: usize = inner.map(|index| inputs(index) - self.shared[index]).sum();
        (inputs(members.start).saturating_sub(length) + more).div_ceil(self.tokens_per_pack).max(1)
    }

    fn first_scored(&self, members: &Range<usize>) -> usize {
        let scored = self.sequences[members.clone()].iter().map(|sequence| sequence.scored.start);
        scored.min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(tokens: Vec<u32>, scored_from: usize) -> Sequence {
        Sequence { source: Vec::new(), scored: scored_from..tokens.len(), tokens }
    }

    /// `header` and then a question of its own and one answer.
    fn questions(header: &[u32], count: u32, length: u32) -> Vec<Sequence> {
        let question = |i: u32| {
            let own = (0..length).map(|j| 1000 + i * length + j);
            let tokens: Vec<u32> = header.iter().copied().chain(own).chain([7]).collect();
            sequence(tokens.clone(), tokens.len() - 1)
        };
        (0..count).map(question).collect()
    }

    fn found(sequences: &[Sequence], tokens_per_pack: usize) -> Vec<Header> {
        headers(&sequences.iter().collect::<Vec<_>>(), tokens_per_pack)
    }

    /// 40 questions of 50 tokens: 2000 tokens in packs of 500.
    #[test]
    fn a_header_of_several_packs_is_found_and_one_of_a_single_pack_is_not() {
        let header: Vec<u32> = (0..100).collect();
        let sequences = questions(&header, 40, 50);
        assert_eq!(found(&sequences, 500), [Header { members: 0..40, length: 100 }]);
        assert_eq!(found(&sequences, 3000), []);
        assert_eq!(found(&questions(&header[..31], 40, 50), 500), []);
    }

    /// Two tasks with headers of their own that begin alike: with one header for both, 7 packs save 40 tokens each; with
    /// two, 3 packs save 90 twice.
    #[test]
    fn longer_headers_of_parts_are_weighed_against_the_shorter_one_of_all() {
        let header = |last: u32| -> Vec<u32> { (0..40).chain(last..last + 50).collect() };
        let both = [questions(&header(100), 40, 50), questions(&header(200), 40, 50)].concat();
        let expected =
            [Header { members: 0..40, length: 90 }, Header { members: 40..80, length: 90 }];
        assert_eq!(found(&both, 500), expected);
    }

    #[test]
    fn a_header_ends_before_the_token_that_predicts() {
        let tokens = |last: u32| (0..60).chain(last * 100..last * 100 + 100).collect::<Vec<u32>>();
        let sequences: Vec<Sequence> = (1..20).map(|last| sequence(tokens(last), 50)).collect();
        assert_eq!(found(&sequences, 500)[0].length, 49);
    }
}
