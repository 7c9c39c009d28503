//! What each token looks at, as blocks of queries with the keys that they see.
//!
//! A tree's or a text's tokens see few of a large batch's tokens, so scores of all against all would mostly be thrown
//! away. A block has queries that stand together and only the keys in sight of one of them: for tokens in depth-first order
//! the path to the first and the block itself. Memory and work then grow with a batch's tokens, not with their square.

use std::ops::Range;

use candle_core::{Result, bail};

/// Most queries of a block.
const QUERIES: usize = 512;
/// A block has at most so many keys more than its first query sees.
const KEYS: usize = 2048;
/// Most scores per head of a block of several queries.
const PAIRS: usize = 1 << 20;

/// For each token, the keys in sight.
pub(super) enum Sight {
    /// Ancestors and self; the parent of each token.
    Tree(Vec<Option<usize>>),
    /// A range of keys; two tokens have the same or ranges that do not meet.
    Ranges(Vec<Range<usize>>),
}

/// Queries and their keys.
pub(super) struct Plan {
    /// Part of the list of tokens that have queries.
    pub queries: Range<usize>,
    /// Ascending.
    pub keys: Vec<usize>,
}

impl Sight {
    /// Of tokens in depth-first order.
    pub fn tree(depths: &[usize]) -> Result<Self> {
        let mut path: Vec<usize> = Vec::new();
        let mut parents = Vec::with_capacity(depths.len());
        for (token, &depth) in depths.iter().enumerate() {
            if depth > path.len() {
                bail!("token {token} at depth {depth} has no parent");
            }
            path.truncate(depth);
            parents.push(path.last().copied());
            path.push(token);
        }
        Ok(Sight::Tree(parents))
    }

    /// Every token sees its whole text; text `i` is `starts[i]..starts[i + 1]`.
    pub fn segments(starts: &[usize]) -> Self {
        let texts = starts.windows(2).map(|ends| ends[0]..ends[1]);
        Sight::Ranges(
            texts.flat_map(|text| std::iter::repeat_n(text.clone(), text.len())).collect(),
        )
    }

    /// Every token sees the whole text that it belongs to.
    pub fn sources(starts: &[usize], source_of_token: &[usize]) -> Result<Self> {
        let source = |&source: &usize| match starts.get(source..source + 2) {
            Some(&[start, end]) if start < end => Ok(start..end),
            _ => bail!("source {source} is empty or does not exist"),
        };
        Ok(Sight::Ranges(source_of_token.iter().map(source).collect::<Result<_>>()?))
    }

    /// Nearest first in a tree, where a window is the number of them.
    pub fn seen_by(&self, token: usize, window: Option<usize>) -> impl Iterator<Item = usize> {
        let (parents, range) = match self {
            Sight::Tree(parents) => (parents.as_slice(), 0..0),
            Sight::Ranges(ranges) => (&[] as &[_], ranges.get(token).cloned().unwrap_or_default()),
        };
        let first = (token < parents.len()).then_some(token);
        let up = move |token: &usize| parents.get(*token).copied().flatten();
        std::iter::successors(first, up).take(window.unwrap_or(usize::MAX)).chain(range)
    }

    /// Blocks for the tokens in `rows`, ascending, of which each is in exactly one; `keys`: how many there are in all.
    pub fn plans(&self, rows: &[usize], keys: usize) -> Vec<Plan> {
        let mut plans: Vec<Plan> = Vec::new();
        // The last block that has the key.
        let mut member = vec![usize::MAX; keys];
        let mut sees_first = 0;
        for (row, &token) in rows.iter().enumerate() {
            // What one of these sees behind a key that the block has, the block has too.
            let fresh = |member: &[usize], block: usize| -> Vec<usize> {
                let seen = self.seen_by(token, None);
                seen.take_while(|key| member[*key] != block).collect()
            };
            let count = plans.len();
            let mut new = fresh(&member, count.wrapping_sub(1));
            let full = |plan: &Plan| {
                let (queries, keys) = (plan.queries.len() + 1, plan.keys.len() + new.len());
                queries > QUERIES || keys > sees_first + KEYS || queries * keys > PAIRS
            };
            if plans.last().is_none_or(full) {
                plans.push(Plan { queries: row..row, keys: Vec::new() });
                new = fresh(&member, count);
                sees_first = new.len();
            }
            let block = plans.len() - 1;
            for &key in &new {
                member[key] = block;
            }
            if let Some(plan) = plans.last_mut() {
                plan.queries.end = row + 1;
                plan.keys.extend(new);
            }
        }
        plans.iter_mut().for_each(|plan| plan.keys.sort_unstable());
        plans
    }

    /// `[queries, keys]`: 0 where a query sees a key, minus infinity elsewhere.
    pub fn mask(&self, plan: &Plan, rows: &[usize], window: Option<usize>) -> Vec<f32> {
        let width = plan.keys.len();
        let mut column = vec![0; plan.keys.last().map_or(0, |last| last + 1)];
        plan.keys.iter().enumerate().for_each(|(index, &key)| column[key] = index);
        let mut mask = vec![f32::NEG_INFINITY; plan.queries.len() * width];
        let queries = rows.iter().skip(plan.queries.start);
        for (mask, &token) in mask.chunks_exact_mut(width.max(1)).zip(queries) {
            for key in self.seen_by(token, window) {
                mask[column[key]] = 0.0;
            }
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEES: f32 = 0.0;
    const BLIND: f32 = f32::NEG_INFINITY;

    /// Two trees by hand: 0 over 1 over (2 | 3 over 4), and 5 over 6.
    const DEPTHS: [usize; 7] = [0, 1, 2, 2, 3, 0, 1];

    #[test]
    fn tokens_of_a_tree_see_their_ancestors() {
        let tree = Sight::tree(&DEPTHS).unwrap();
        let seen = |token, window| tree.seen_by(token, window).collect::<Vec<_>>();
        assert_eq!(seen(4, None), [4, 3, 1, 0]);
        assert_eq!(seen(4, Some(2)), [4, 3]);
        assert_eq!(seen(6, None), [6, 5]);
    }

    #[test]
    fn a_block_has_the_keys_of_its_queries_only() {
        let tree = Sight::tree(&DEPTHS).unwrap();
        let plans = tree.plans(&[2, 4], DEPTHS.len());
        assert_eq!(plans.len(), 1);
        assert_eq!(plans[0].keys, [0, 1, 2, 3, 4]);
        let mask = tree.mask(&plans[0], &[2, 4], None);
        assert_eq!(mask, [SEES, SEES, SEES, BLIND, BLIND, SEES, SEES, BLIND, SEES, SEES]);
    }

    #[test]
    fn texts_see_themselves_and_tokens_their_source() {
        let texts = Sight::segments(&[0, 2, 3]);
        assert_eq!(texts.seen_by(1, None).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(texts.seen_by(2, None).collect::<Vec<_>>(), [2]);
        let sources = Sight::sources(&[0, 2, 3], &[1, 0]).unwrap();
        assert_eq!(sources.seen_by(1, None).collect::<Vec<_>>(), [0, 1]);
        assert!(Sight::sources(&[0, 2, 2], &[1]).is_err());
        assert!(Sight::tree(&[0, 2]).is_err());
    }

    /// Law: whatever the cut, every row is in one block, in order, with all keys that it sees.
    fn covers(depths: &[usize], fewest_rows: usize) {
        let tree = Sight::tree(depths).unwrap();
        let rows: Vec<usize> = (0..depths.len()).collect();
        let plans = tree.plans(&rows, depths.len());
        assert!(plans.len() > 1 && plans.len() <= rows.len() / fewest_rows + 1);
        let covered: Vec<usize> = plans.iter().flat_map(|plan| plan.queries.clone()).collect();
        assert_eq!(covered, rows);
        for plan in &plans {
            assert!(plan.queries.len() <= QUERIES);
            assert!(plan.queries.len() * plan.keys.len() <= PAIRS);
            for row in plan.queries.clone() {
                assert!(tree.seen_by(row, None).all(|key| plan.keys.binary_search(&key).is_ok()));
            }
        }
    }

    #[test]
    fn large_batches_are_cut_without_losing_a_key() {
        covers(&(0..30).flat_map(|_| 0..130).collect::<Vec<_>>(), 500);
        covers(&(0..5000).collect::<Vec<_>>(), 150);
    }
}
