//! From a sight to chains of tokens and blocks of queries.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::{Result, bail};

use super::super::Rows;
use super::block::{Block, Context, Query, tokens_per_block};
use super::cache::{Cache, TILE};
use super::{Attention, Sight};

/// One call of [`Attention`], whose operands were checked.
pub struct Walk<'a> {
    op: &'a Attention<'a>,
    queries: Rows<'a>,
    keys_values: Rows<'a>,
    out: &'a mut [f32],
    block: Block,
}

impl<'a> Walk<'a> {
    pub fn new(
        op: &'a Attention<'a>,
        queries: Rows<'a>,
        keys_values: Rows<'a>,
        out: &'a mut [f32],
    ) -> Self {
        Walk { op, queries, keys_values, out, block: Block::default() }
    }

    pub fn run(mut self) -> Result<()> {
        match self.op.sight {
            Sight::Tree { depths, prefix } => self.tree(depths, prefix),
            Sight::Segments { starts } => self.segments(starts),
            Sight::Sources { starts, source_of_row } => self.sources(starts, source_of_row),
            Sight::Caches { prefix, caches, counts } => return self.runs(prefix, caches, counts),
            Sight::Kept { caches, cache_of_row } => self.kept(caches, cache_of_row),
        }
        Ok(())
    }

    fn tree(&mut self, depths: &[usize], prefix: Option<&Cache>) {
        let empty = self.empty_cache();
        let prefix = prefix.unwrap_or(&empty);
        let shared = prefix.len() / TILE;
        let height = depths.iter().max().map_or(0, |deepest| deepest + 1);
        let mut own = prefix.last_partial_tile(height.saturating_sub(shared * TILE));
        for tokens in chains(depths) {
            let depth = depths[tokens.start];
            own.truncate(depth - shared * TILE);
            own.extend(depth, self.keys_values, tokens.clone(), &self.op.positions);
            let queries = self.causal(tokens, depth);
            self.attend(Context { shared, prefix, own: &own }, &queries);
        }
    }

    fn segments(&mut self, starts: &[usize]) {
        let mut cache = self.empty_cache();
        for ends in starts.windows(2) {
            let tokens = ends[0]..ends[1];
            cache.truncate(0);
            cache.extend(0, self.keys_values, tokens.clone(), &self.op.positions);
            let sees = 0..tokens.len();
            let queries: Vec<Query> = self
                .asked(&tokens)
                .map(|(row, index)| Query { row, position: index, sees: sees.clone() })
                .collect();
            self.attend(Context::of(&cache), &queries);
        }
    }

    fn sources(&mut self, starts: &[usize], source_of_row: &[usize]) {
        let mut cache = self.empty_cache();
        let mut first = 0;
        for rows in source_of_row.chunk_by(|a, b| a == b) {
            let tokens = starts[rows[0]]..starts[rows[0] + 1];
            cache.truncate(0);
            cache.extend(0, self.keys_values, tokens.clone(), &self.op.positions);
            let queries: Vec<Query> = (first..first + rows.len())
                .map(|row| Query { row, position: 0, sees: 0..tokens.len() })
                .collect();
            self.attend(Context::of(&cache), &queries);
            first += rows.len();
        }
    }

    fn kept(&mut self, caches: &[Cache], cache_of_row: &[usize]) {
        let mut first = 0;
        for rows in cache_of_row.chunk_by(|a, b| a == b) {
            let cache = &caches[rows[0]];
            let queries: Vec<Query> = (first..first + rows.len())
                .map(|row| Query { row, position: 0, sees: 0..cache.len() })
                .collect();
            self.attend(Context::of(cache), &queries);
            first += rows.len();
        }
    }

    fn runs(
        &mut self,
        prefix: Option<&Cache>,
        caches: &RefCell<Vec<Cache>>,
        counts: &[usize],
    ) -> Result<()> {
        let Ok(mut caches) = caches.try_borrow_mut() else { bail!("the caches are in use") };
        let behind = prefix.map_or(0, Cache::in_whole_tiles);
        let mut start = 0;
        for (cache, count) in caches.iter_mut().zip(counts) {
            let (tokens, position) = (start..start + count, behind + cache.len());
            cache.extend(position, self.keys_values, tokens.clone(), &self.op.positions);
            let queries = self.causal(tokens, position);
            let context = match prefix {
                Some(prefix) => Context { shared: behind / TILE, prefix, own: cache },
                None => Context::of(cache),
            };
            self.attend(context, &queries);
            start += count;
        }
        Ok(())
    }

    fn empty_cache(&self) -> Cache {
        Cache::new(self.op.shape.kv_heads, self.op.shape.head_dim)
    }

    /// Query row and index in `tokens` of each of `tokens` that has a query.
    fn asked(&self, tokens: &Range<usize>) -> impl Iterator<Item = (usize, usize)> + use<'a> {
        let (rows, start) = (self.op.rows, tokens.start);
        let row_at = |token: usize| rows.partition_point(|row| *row < token);
        (row_at(start)..row_at(tokens.end)).map(move |row| (row, rows[row] - start))
    }

    /// The queries of `tokens`, the first of which has `position`.
    fn causal(&self, tokens: Range<usize>, position: usize) -> Vec<Query> {
        let window = self.op.shape.window.unwrap_or(usize::MAX);
        self.asked(&tokens)
            .map(|(row, index)| {
                let end = position + index + 1;
                Query { row, position: end - 1, sees: end.saturating_sub(window)..end }
            })
            .collect()
    }

    fn attend(&mut self, context: Context, queries: &[Query]) {
        let group = self.op.shape.heads / self.op.shape.kv_heads;
        let blocks = queries.len().div_ceil(tokens_per_block(group)).max(1);
        let tokens = queries.len().div_ceil(blocks).max(1);
        for kv_head in 0..self.op.shape.kv_heads {
            for queries in queries.chunks(tokens) {
                self.block.attend(self.op, context, kv_head, queries, self.queries, self.out);
            }
        }
    }
}

/// Maximal runs of tokens of which each is the child of the one before.
fn chains(depths: &[usize]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    depths.chunk_by(|parent, child| *child == parent + 1).map(move |chain| {
        let tokens = start..start + chain.len();
        start = tokens.end;
        tokens
    })
}
