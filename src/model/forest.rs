//! Token sequences packed as a forest of prefix trees, in depth-first order.
//!
//! A decoder's numbers at a token depend on the token and its ancestors alone, so a prefix that several sequences share
//! (a prompt under its answers, an instruction before every prompt) need be computed only once. In depth-first order the
//! tree needs no pointers: the parent of a token at depth `d` is the last token before it at depth `d - 1`. Attention can
//! therefore keep one key/value stack indexed by depth, overwrite it on the way, and needs no mask.

use std::ops::Range;

/// One sequence of token ids, of which the tokens from `scored_from` on are to be predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Context and continuation together.
    pub tokens: Vec<u32>,
    /// Index of the first predicted token; at least 1, at most `tokens.len()`.
    pub scored_from: usize,
}

impl Sequence {
    /// The tokens the network reads: all that come before a predicted one.
    fn inputs(&self) -> &[u32] {
        &self.tokens[..self.tokens.len() - 1]
    }
}

/// "What is the log-probability of `token` after the path that ends in row `row`?"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prediction {
    /// Index into [`TokenForest::rows`].
    pub row: usize,
    /// The token asked for.
    pub token: u32,
}

/// A packed batch without padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenForest {
    /// Token ids in depth-first order.
    pub tokens: Vec<u32>,
    /// Depth of each token, counted from 0; it is the position id too.
    pub depths: Vec<usize>,
    /// Indices, ascending, of the tokens after which something is predicted.
    pub rows: Vec<usize>,
    /// All predictions, sequence by sequence.
    pub predictions: Vec<Prediction>,
    /// For each sequence, in the order given, its part of `predictions`.
    pub spans: Vec<Range<usize>>,
}

impl TokenForest {
    /// Packs `sequences`; neighbours that start alike share the beginning, so sorted ones share most.
    pub fn new(sequences: &[&Sequence]) -> Self {
        let mut forest = TokenForest::default();
        let mut path = Vec::new();
        let mut previous: &[u32] = &[];
        let mut asked = Vec::new();
        for sequence in sequences {
            let inputs = sequence.inputs();
            path.truncate(common_prefix(previous, inputs));
            forest.extend_path(inputs, &mut path);
            let start = asked.len();
            asked.extend(
                (sequence.scored_from..sequence.tokens.len())
                    .map(|i| (path[i - 1], sequence.tokens[i])),
            );
            forest.spans.push(start..asked.len());
            previous = inputs;
        }
        forest.predict(&asked);
        forest
    }

    /// One more than the greatest depth.
    pub fn height(&self) -> usize {
        self.depths.iter().max().map_or(0, |deepest| deepest + 1)
    }

    fn extend_path(&mut self, inputs: &[u32], path: &mut Vec<usize>) {
        for (depth, &token) in inputs.iter().enumerate().skip(path.len()) {
            path.push(self.tokens.len());
            self.tokens.push(token);
            self.depths.push(depth);
        }
    }

    fn predict(&mut self, asked: &[(usize, u32)]) {
        let mut row_of = vec![usize::MAX; self.tokens.len()];
        for &(at, _) in asked {
            row_of[at] = 0;
        }
        for (at, row) in row_of.iter_mut().enumerate().filter(|(_, row)| **row == 0) {
            *row = self.rows.len();
            self.rows.push(at);
        }
        self.predictions = asked
            .iter()
            .map(|&(at, token)| Prediction {
                row: row_of[at],
                token,
            })
            .collect();
    }
}

/// Number of leading tokens that `a` and `b` have in common.
pub fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(tokens: &[u32], scored_from: usize) -> Sequence {
        Sequence {
            tokens: tokens.to_vec(),
            scored_from,
        }
    }

    /// Worked by hand: prompt 5 6 with answers 7 | 7 8 | 9 1 2, then another prompt that shares 5.
    #[test]
    fn answers_share_their_prompt_and_last_tokens_are_not_read() {
        let sequences = [
            sequence(&[5, 6, 7], 2),
            sequence(&[5, 6, 7, 8], 2),
            sequence(&[5, 6, 9, 1, 2], 2),
            sequence(&[5, 3, 4], 2),
        ];
        let forest = TokenForest::new(&sequences.iter().collect::<Vec<_>>());
        assert_eq!(forest.tokens, [5, 6, 7, 9, 1, 3]);
        assert_eq!(forest.depths, [0, 1, 2, 2, 3, 1]);
        assert_eq!(forest.rows, [1, 2, 3, 4, 5]);
        let asked: Vec<_> = forest
            .predictions
            .iter()
            .map(|p| (forest.rows[p.row], p.token))
            .collect();
        assert_eq!(
            asked,
            [(1, 7), (1, 7), (2, 8), (1, 9), (3, 1), (4, 2), (5, 4)]
        );
        assert_eq!(forest.spans, [0..1, 1..3, 3..6, 6..7]);
    }
}
