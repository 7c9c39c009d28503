//! A block of queries against one key/value head: scores, softmax, weighted sum of the values.

use std::ops::Range;

use super::super::simd::{Kernel, LANES, dispatch};
use super::super::{PANEL, Rows, panel_product};
use super::cache::{Cache, TILE, padded};
use super::softmax::{Bias, Row};
use super::width::{OfWidth, dispatch_width, scaled_into};
use super::{Attention, HeadShape, Positions};

/// Rows of a block where the group of heads allows: three full strips of the product with AVX-512.
const ROWS: usize = 42;

/// How many tokens' queries go together at most; `group`: query heads per key/value head.
pub fn tokens_per_block(group: usize) -> usize {
    (ROWS / group).max(1)
}

/// Most bytes that one call of [`Attention`] allocates, where no sequence has more than `longest` tokens (nor a source more
/// queries): the keys and values of one sequence, rearranged, and one block of queries, scores and sums.
pub fn temporaries(shape: &HeadShape, longest: usize) -> usize {
    let group = shape.heads / shape.kv_heads.max(1);
    let rows = group * tokens_per_block(group.max(1));
    let width = shape.head_dim + longest.next_multiple_of(TILE) + TILE + LANES;
    let block = rows * (width + padded(shape.head_dim) + 1) * size_of::<f32>();
    let queries = longest * size_of::<Query>();
    Cache::bytes_for(shape.kv_heads, shape.head_dim, longest) + block + queries
}

/// One token's query: all heads.
pub struct Query {
    /// Of the query and output matrices.
    pub row: usize,
    /// Of the token.
    pub position: usize,
    /// Positions of the keys it sees; not empty.
    pub sees: Range<usize>,
}

/// Keys and values by position: whole tiles of a shared prefix, then tiles of one's own.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Number of tiles to be read from `prefix`.
    pub shared: usize,
    /// Read only below `shared`.
    pub prefix: &'a Cache,
    /// Its first tile is tile `shared`.
    pub own: &'a Cache,
}

impl<'a> Context<'a> {
    /// Without a prefix.
    pub fn of(own: &'a Cache) -> Self {
        Context { shared: 0, prefix: own, own }
    }

    fn keys(&self, tile: usize, kv_head: usize) -> &'a [f32] {
        match tile.checked_sub(self.shared) {
            Some(tile) => self.own.keys(tile, kv_head),
            None => self.prefix.keys(tile, kv_head),
        }
    }

    fn values(&self, tile: usize, kv_head: usize) -> &'a [f32] {
        match tile.checked_sub(self.shared) {
            Some(tile) => self.own.values(tile, kv_head),
            None => self.prefix.values(tile, kv_head),
        }
    }
}

/// Memory of the block at hand. Its rows are the queries' heads: token by token, the group's heads for each.
#[derive(Default)]
pub struct Block {
    /// `[rows, head_dim]`, rotated and scaled.
    queries: Vec<f32>,
    /// `[rows, stride]`: scores, then numerators of the softmax, of the keys from position `from` on.
    scores: Vec<f32>,
    /// `[rows]`: denominators of the softmax.
    sums: Vec<f32>,
    /// `[rows, head_dim padded]`.
    attended: Vec<f32>,
}

/// Positions of the keys that some query of the block sees, and where they stand in the scores.
#[derive(Clone, Copy)]
struct Keys {
    /// A multiple of [`TILE`].
    from: usize,
    end: usize,
    /// Not a multiple of 4 KiB, lest the rows compete for the same lines of the L1 cache.
    stride: usize,
}

impl Keys {
    fn of(queries: &[Query]) -> Self {
        let first = queries.iter().map(|query| query.sees.start).min().unwrap_or(0);
        let end = queries.iter().map(|query| query.sees.end).max().unwrap_or(0);
        let from = first / TILE * TILE;
        Keys { from, end, stride: (end - from).next_multiple_of(PANEL) + LANES }
    }

    fn tiles(&self) -> Range<usize> {
        self.from / TILE..self.end.div_ceil(TILE)
    }
}

impl Block {
    /// Writes, for the query heads of `kv_head`, the attention of `queries` to the rows of `out`.
    pub fn attend(
        &mut self,
        op: &Attention,
        context: Context,
        kv_head: usize,
        queries: &[Query],
        matrix: Rows,
        out: &mut [f32],
    ) {
        let keys = Keys::of(queries);
        let heads = Heads { op, kv_head, queries };
        self.make_room(&heads, &keys);
        dispatch_width(op.shape.head_dim, Gather { heads, matrix, block: self });
        self.scores(&heads, context, keys);
        dispatch(Softmax { heads, keys, block: self });
        self.weighted_sums(&heads, context, keys);
        dispatch_width(op.shape.head_dim, Scatter { heads, block: self, out });
    }

    fn make_room(&mut self, heads: &Heads, keys: &Keys) {
        let (rows, head_dim) = (heads.rows(), heads.op.shape.head_dim);
        let at_least = |buffer: &mut Vec<f32>, size: usize| {
            if buffer.len() < size {
                buffer.reserve_exact(size - buffer.len());
                buffer.resize(size, 0.0);
            }
        };
        at_least(&mut self.queries, rows * head_dim);
        at_least(&mut self.scores, rows * keys.stride);
        at_least(&mut self.sums, rows);
        at_least(&mut self.attended, rows * padded(head_dim));
    }

    fn scores(&mut self, heads: &Heads, context: Context, keys: Keys) {
        let head_dim = heads.op.shape.head_dim;
        for tile in keys.tiles() {
            let panels = context.keys(tile, heads.kv_head).chunks_exact(PANEL * head_dim);
            for (position, panel) in (tile * TILE..keys.end).step_by(PANEL).zip(panels) {
                let scores = &mut self.scores[position - keys.from..];
                panel_product(
                    &self.queries,
                    head_dim,
                    heads.rows(),
                    head_dim,
                    panel,
                    scores,
                    keys.stride,
                    false,
                );
            }
        }
    }

    fn weighted_sums(&mut self, heads: &Heads, context: Context, keys: Keys) {
        let width = padded(heads.op.shape.head_dim);
        for tile in keys.tiles() {
            let start = tile * TILE;
            let weights = &self.scores[start - keys.from..];
            let panels = context.values(tile, heads.kv_head).chunks_exact(TILE * PANEL);
            for (panel, column) in panels.zip((0..width).step_by(PANEL)) {
                panel_product(
                    weights,
                    keys.stride,
                    heads.rows(),
                    TILE.min(keys.end - start),
                    panel,
                    &mut self.attended[column..],
                    width,
                    start > keys.from,
                );
            }
        }
    }
}

/// The query heads that share a key/value head, for the tokens of the block.
#[derive(Clone, Copy)]
struct Heads<'a> {
    op: &'a Attention<'a>,
    kv_head: usize,
    queries: &'a [Query],
}

impl Heads<'_> {
    #[inline(always)]
    fn group(&self) -> usize {
        self.op.shape.heads / self.op.shape.kv_heads
    }

    /// How to read row `index` of the scores.
    #[inline(always)]
    fn score_row(&self, keys: Keys, index: usize) -> Row<'_> {
        let group = self.group() as u32;
        let query = &self.queries[(index as u32 / group) as usize];
        let head = self.kv_head * self.group() + (index as u32 % group) as usize;
        let bias = match self.op.positions {
            Positions::Alibi(slopes) => Bias::Slope(slopes[head]),
            Positions::Relative(bias) => Bias::Row(bias.row(head, query.position)),
            Positions::Absolute | Positions::Rotary(_) => Bias::None,
        };
        let seen = query.sees.start - keys.from..query.sees.end - keys.from;
        Row { from: keys.from, seen, softcap: self.op.shape.softcap, bias }
    }

    #[inline(always)]
    fn rows(&self) -> usize {
        self.queries.len() * self.group()
    }

    /// Columns of the query and output matrices.
    #[inline(always)]
    fn columns(&self) -> Range<usize> {
        let width = self.group() * self.op.shape.head_dim;
        self.kv_head * width..(self.kv_head + 1) * width
    }
}

struct Gather<'a> {
    heads: Heads<'a>,
    matrix: Rows<'a>,
    block: &'a mut Block,
}

impl OfWidth for Gather<'_> {
    #[inline(always)]
    fn run(self, head_dim: usize) {
        let Gather { heads, matrix, block } = self;
        let scale = heads.op.shape.scale;
        let mut places = block.queries.chunks_exact_mut(head_dim);
        for query in heads.queries {
            let row = &matrix.row(query.row)[heads.columns()];
            for (head, place) in row.chunks_exact(head_dim).zip(&mut places) {
                heads.op.positions.place(query.position, head, scale, place);
            }
        }
    }
}

struct Softmax<'a> {
    heads: Heads<'a>,
    keys: Keys,
    block: &'a mut Block,
}

impl Kernel for Softmax<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Softmax { heads, keys, block } = self;
        let rows = block.scores.chunks_exact_mut(keys.stride).zip(&mut block.sums);
        for (index, (scores, sum)) in rows.enumerate().take(heads.rows()) {
            let scores = &mut scores[..keys.stride - LANES];
            *sum = heads.score_row(keys, index).numerators(scores);
        }
    }
}

struct Scatter<'a> {
    heads: Heads<'a>,
    block: &'a Block,
    out: &'a mut [f32],
}

impl OfWidth for Scatter<'_> {
    #[inline(always)]
    fn run(self, head_dim: usize) {
        let Scatter { heads, block, out } = self;
        let width = heads.op.shape.heads * head_dim;
        let mut rows = block.attended.chunks_exact(padded(head_dim)).zip(&block.sums);
        for query in heads.queries {
            let out = &mut out[query.row * width..][heads.columns()];
            for (out, (row, sum)) in out.chunks_exact_mut(head_dim).zip(&mut rows) {
                let scale = 1.0 / sum;
                scaled_into(out, &row[..head_dim], scale);
            }
        }
    }
}
