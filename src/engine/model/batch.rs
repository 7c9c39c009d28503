//! Token sequences packed without padding.
//!
//! A decoder's numbers at a token depend on the token and its ancestors alone, so a beginning that several sequences share
//! (a prompt under its answers, an instruction before every prompt) need be computed only once: the sequences form a
//! forest of prefix trees. In depth-first order the trees need no pointers: the parent of a token at depth `d` is the last
//! token before it at depth `d - 1`. Attention can therefore keep one key/value stack indexed by depth and overwrite it on
//! the way, and needs no mask. An encoder's texts stand one after another as segments.

use std::ops::Range;

use super::spec::Reading;

/// One sequence of token ids, some of which are to be predicted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequence {
    /// What an encoder reads before; empty unless the network is [`Reading::Seq2Seq`].
    pub source: Vec<u32>,
    /// Context and continuation together; for [`Reading::Seq2Seq`] what the decoder reads, its start token first.
    pub tokens: Vec<u32>,
    /// Indices of the predicted tokens; from 1 on unless the network is [`Reading::Masked`].
    pub scored: Range<usize>,
}

impl Sequence {
    /// The tokens a decoder reads: all that come before a predicted one.
    pub fn inputs(&self) -> &[u32] {
        &self.tokens[..self.scored.end.saturating_sub(1).min(self.tokens.len())]
    }
}

/// "What is the log-probability of `token` by the state in row `row`?"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prediction {
    /// Index into [`Batch::rows`].
    pub row: usize,
    /// The token asked for.
    pub token: u32,
}

/// Texts one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segments {
    /// Tokens of all texts.
    pub tokens: Vec<u32>,
    /// Text `i` is `tokens[starts[i]..starts[i + 1]]`.
    pub starts: Vec<usize>,
}

impl Segments {
    /// None yet.
    pub fn new() -> Self {
        Segments { tokens: Vec::new(), starts: vec![0] }
    }

    /// Number of texts.
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Appends a text.
    pub fn push(&mut self, text: &[u32]) {
        self.tokens.extend_from_slice(text);
        self.starts.push(self.tokens.len());
    }

    /// Tokens of the longest text.
    pub fn longest(&self) -> usize {
        self.starts.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap_or(0)
    }

    /// The last text.
    fn last(&self) -> Option<&[u32]> {
        let count = self.count().checked_sub(1)?;
        Some(&self.tokens[self.starts[count]..])
    }

    /// Position of each token in its text.
    pub fn positions(&self) -> Vec<usize> {
        self.starts.windows(2).flat_map(|ends| 0..ends[1] - ends[0]).collect()
    }
}

/// Packed sequences and what is asked about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Token ids in depth-first order; for an encoder, text by text.
    pub tokens: Vec<u32>,
    /// Position of each token: its depth, or its index in its text.
    pub positions: Vec<usize>,
    /// Where encoder texts begin and end in `tokens`; empty for a decoder.
    pub starts: Vec<usize>,
    /// Indices, ascending, of the tokens after (or, masked, at) which something is predicted.
    pub rows: Vec<usize>,
    /// All predictions, sequence by sequence.
    pub predictions: Vec<Prediction>,
    /// For each sequence, in the order given, its part of `predictions`.
    pub spans: Vec<Range<usize>>,
    /// What the encoder of a [`Reading::Seq2Seq`] network reads; equal neighbours are stored once.
    pub sources: Segments,
    /// For each token, which of `sources` it belongs to; empty without sources.
    pub source_of_token: Vec<usize>,
}

impl Batch {
    /// Packs `sequences`; neighbours that start alike share the beginning, so sorted ones share most.
    ///
    /// `prefix` leading tokens, the same in all sequences and fewer than the index of any predicted token, are left out:
    /// their states come from elsewhere. `mask_token` stands in for what a masked network predicts.
    pub fn new(
        reading: Reading,
        mask_token: Option<u32>,
        prefix: usize,
        sequences: &[&Sequence],
    ) -> Self {
        match (reading, mask_token) {
            (Reading::Masked, mask) => Batch::masked(mask.unwrap_or_default(), sequences),
            (Reading::Causal | Reading::Seq2Seq | Reading::Classify, _) => {
                Batch::forest(prefix, sequences)
            }
        }
    }

    fn empty() -> Self {
        Batch {
            tokens: Vec::new(),
            positions: Vec::new(),
            starts: Vec::new(),
            rows: Vec::new(),
            predictions: Vec::new(),
            spans: Vec::new(),
            sources: Segments::new(),
            source_of_token: Vec::new(),
        }
    }

    fn forest(prefix: usize, sequences: &[&Sequence]) -> Self {
        let mut batch = Batch::empty();
        // Tokens of the path at hand, by depth from the prefix on.
        let mut path = Vec::new();
        let mut previous: &[u32] = &[];
        let mut asked = Vec::new();
        for sequence in sequences {
            let inputs = sequence.inputs().get(prefix..).unwrap_or_default();
            let known = batch.sources.last() == Some(sequence.source.as_slice());
            if !known && !sequence.source.is_empty() {
                batch.sources.push(&sequence.source);
                path.clear();
            }
            path.truncate(common_prefix(previous, inputs));
            batch.extend_path(inputs, prefix, &mut path);
            let start = asked.len();
            asked.extend(
                sequence.scored.clone().map(|i| (path[i - 1 - prefix], sequence.tokens[i])),
            );
            batch.spans.push(start..asked.len());
            previous = inputs;
        }
        batch.predict(&asked);
        batch
    }

    /// One text per predicted token, with the mask in its place (Salazar et al. 2020, equation 1).
    fn masked(mask: u32, sequences: &[&Sequence]) -> Self {
        let mut batch = Batch::empty();
        let mut texts = Segments::new();
        let mut asked = Vec::new();
        for sequence in sequences {
            let start = asked.len();
            for index in sequence.scored.clone() {
                let at = texts.tokens.len() + index;
                texts.push(&sequence.tokens);
                texts.tokens[at] = mask;
                asked.push((at, sequence.tokens[index]));
            }
            batch.spans.push(start..asked.len());
        }
        batch.positions = texts.positions();
        (batch.tokens, batch.starts) = (texts.tokens, texts.starts);
        batch.predict(&asked);
        batch
    }

    /// Whole texts, of which the state at the first token is wanted.
    pub fn texts(texts: &[&[u32]]) -> Self {
        let mut segments = Segments::new();
        texts.iter().for_each(|text| segments.push(text));
        let mut batch = Batch::empty();
        batch.rows = segments.starts[..segments.count()].to_vec();
        batch.positions = segments.positions();
        (batch.tokens, batch.starts) = (segments.tokens, segments.starts);
        batch
    }

    /// One chain of tokens of which nothing is predicted: a beginning that others will share.
    pub fn chain(tokens: &[u32]) -> Self {
        let (tokens, positions) = (tokens.to_vec(), (0..tokens.len()).collect());
        Batch { tokens, positions, ..Batch::empty() }
    }

    /// Number of tokens the network reads.
    pub fn len(&self) -> usize {
        self.tokens.len() + self.sources.tokens.len()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the greatest position, of tokens and of sources.
    pub fn longest(&self) -> usize {
        let own = self.positions.iter().max().map_or(0, |deepest| deepest + 1);
        own.max(self.sources.longest())
    }

    fn extend_path(&mut self, inputs: &[u32], prefix: usize, path: &mut Vec<usize>) {
        let source = self.sources.count().checked_sub(1);
        for (depth, &token) in inputs.iter().enumerate().skip(path.len()) {
            path.push(self.tokens.len());
            self.tokens.push(token);
            self.positions.push(prefix + depth);
            self.source_of_token.extend(source);
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
        self.predictions =
            asked.iter().map(|&(at, token)| Prediction { row: row_of[at], token }).collect();
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
        let (tokens, scored) = (tokens.to_vec(), scored_from..tokens.len());
        Sequence { source: Vec::new(), tokens, scored }
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
        let forest = Batch::new(Reading::Causal, None, 0, &sequences.iter().collect::<Vec<_>>());
        assert_eq!(forest.tokens, [5, 6, 7, 9, 1, 3]);
        assert_eq!(forest.positions, [0, 1, 2, 2, 3, 1]);
        assert_eq!(forest.rows, [1, 2, 3, 4, 5]);
        let asked: Vec<_> =
            forest.predictions.iter().map(|p| (forest.rows[p.row], p.token)).collect();
        assert_eq!(asked, [(1, 7), (1, 7), (2, 8), (1, 9), (3, 1), (4, 2), (5, 4)]);
        assert_eq!(forest.spans, [0..1, 1..3, 3..6, 6..7]);
    }
}
