//! Longest common subsequences, 64 cells of the table at a time.
//!
//! Let `t[i][j]` be the length for the first `i` tokens of the reference and the first `j` of the candidate. Column `j` of the
//! table is kept as one bit per `i`: bit `i - 1` is unset where `t[i][j] > t[i-1][j]` (Hyyrö, "Bit-parallel LCS-length
//! computation revisited", AWOCA 2004). So the memory of a table is `n·m/8` bytes, of its last column `n/8`.

use std::collections::HashMap;

const WORD: usize = u64::BITS as usize;

fn is_set(bits: &[u64], index: usize) -> bool {
    bits.get(index / WORD).is_some_and(|word| word >> (index % WORD) & 1 == 1)
}

/// `V ← (V + (V ∧ M)) ∨ (V ∧ ¬M)`, with `M` the reference's places of one candidate token.
fn advance(column: &mut [u64], matches: &[u64]) {
    let mut carry = false;
    for (word, matching) in column.iter_mut().zip(matches) {
        let (sum, first) = word.overflowing_add(*word & matching);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        carry = first || second;
        *word = sum | (*word & !matching);
    }
}

/// A text that others are compared with.
pub(super) struct Reference<'a> {
    tokens: &'a [u32],
    /// Where each token stands.
    places: HashMap<u32, Vec<usize>>,
}

impl Reference<'_> {
    pub fn new(tokens: &[u32]) -> Reference<'_> {
        let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
        for (place, token) in tokens.iter().enumerate() {
            places.entry(*token).or_default().push(place);
        }
        Reference { tokens, places }
    }

    /// Calls `visit` with the column after each candidate token; gives the last one.
    fn columns(&self, candidate: &[u32], mut visit: impl FnMut(&[u64])) -> Vec<u64> {
        let mut column = vec![u64::MAX; self.tokens.len().div_ceil(WORD)];
        let mut matches = vec![0; column.len()];
        for token in candidate {
            matches.fill(0);
            for place in self.places.get(token).into_iter().flatten() {
                if let Some(word) = matches.get_mut(place / WORD) {
                    *word |= 1 << (place % WORD);
                }
            }
            advance(&mut column, &matches);
            visit(&column);
        }
        column
    }

    /// The length of a longest common subsequence, in tokens.
    pub fn length(&self, candidate: &[u32]) -> usize {
        let column = self.columns(candidate, |_| {});
        // the bits after the reference's end stay set: nothing matches there
        column.iter().map(|word| word.count_zeros() as usize).sum()
    }

    /// The places in the reference of one longest common subsequence, from the last to the first: the one that rouge_score
    /// finds, which goes back along equal tokens, then to the left if only that keeps the length, else up.
    pub fn places_of_one(&self, candidate: &[u32]) -> Vec<usize> {
        let bits = WORD * self.tokens.len().div_ceil(WORD); // of a column
        let mut table = Vec::with_capacity(candidate.len() * bits / WORD);
        self.columns(candidate, |column| table.extend_from_slice(column));
        let (mut i, mut j) = (self.tokens.len(), candidate.len());
        let mut found = Vec::new();
        while let (Some(row), Some(left)) = (i.checked_sub(1), j.checked_sub(1)) {
            if self.tokens.get(row) == candidate.get(left) {
                found.push(row);
                (i, j) = (row, left);
            } else if !is_set(&table, left * bits + row) {
                // t[i][j] > t[i-1][j], and so t[i][j-1] is, since t[i][j] is the greater of the two
                j = left;
            } else {
                i = row;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook's table (Cormen et al., chapter 15.4).
    fn table(reference: &[u32], candidate: &[u32]) -> Vec<Vec<usize>> {
        let mut table = vec![vec![0; candidate.len() + 1]; reference.len() + 1];
        for i in 1..=reference.len() {
            for j in 1..=candidate.len() {
                table[i][j] = if reference[i - 1] == candidate[j - 1] {
                    table[i - 1][j - 1] + 1
                } else {
                    table[i - 1][j].max(table[i][j - 1])
                };
            }
        }
        table
    }

    fn tokens() -> impl Strategy<Value = Vec<u32>> {
        prop_oneof![
            proptest::collection::vec(0..4u32, 0..200),
            proptest::collection::vec(0..30u32, 0..200)
        ]
    }

    proptest! {
        #[test]
        fn length_is_the_tables(reference in tokens(), candidate in tokens()) {
            let table = table(&reference, &candidate);
            prop_assert_eq!(Reference::new(&reference).length(&candidate), table[reference.len()][candidate.len()]);
        }

        #[test]
        fn places_are_a_common_subsequence_of_full_length(reference in tokens(), candidate in tokens()) {
            let mut places = Reference::new(&reference).places_of_one(&candidate);
            places.reverse();
            prop_assert!(places.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(places.len(), Reference::new(&reference).length(&candidate));
            let mut rest = candidate.iter();
            for place in places {
                prop_assert!(rest.any(|token| *token == reference[place]));
            }
        }
    }

    #[test]
    fn ten_thousand_tokens() {
        let even: Vec<u32> = (0..20_000).filter(|token| token % 2 == 0).collect();
        let third: Vec<u32> = (0..20_000).filter(|token| token % 3 == 0).collect();
        assert_eq!(Reference::new(&even).length(&third), 3334); // the multiples of 6 below 20,000
        assert_eq!(Reference::new(&even).places_of_one(&third).len(), 3334);
    }
}
