//! Keys and values as the matrix products want them, appended and cut token by token.

use std::ops::Range;

use super::super::{PANEL, Rows};
use super::Positions;
use super::width::{OfWidth, dispatch_width};

/// Tokens per tile, a whole number of key panels. Sums over key positions start anew at each multiple of it, so it is
/// part of what fixes their order.
pub const TILE: usize = 64;

/// Keys (rotated, where the model rotates) and values of one sequence in one layer, all key/value heads, f32.
///
/// Kept in tiles of 64 tokens; in a tile, head by head, keys as panels `[head_dim, 32 tokens]` and after them values as
/// panels `[64 tokens, 32 of head_dim]`, filled up with zeros where `head_dim` is no multiple of 32.
#[derive(Debug, Clone)]
pub struct Cache {
    kv_heads: usize,
    head_dim: usize,
    len: usize,
    tiles: Vec<f32>,
}

impl Cache {
    /// An empty one; takes no memory before the first token.
    pub fn new(kv_heads: usize, head_dim: usize) -> Self {
        Cache { kv_heads, head_dim, len: 0, tiles: Vec::new() }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all but the first `len` tokens; the memory is kept for those to come.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Memory taken.
    pub fn bytes(&self) -> usize {
        self.tiles.capacity() * size_of::<f32>()
    }

    /// Memory that `len` tokens take.
    pub fn bytes_for(kv_heads: usize, head_dim: usize, len: usize) -> usize {
        len.div_ceil(TILE) * kv_heads * head_tile(head_dim) * size_of::<f32>()
    }

    pub(super) fn fits(&self, kv_heads: usize, head_dim: usize) -> bool {
        (self.kv_heads, self.head_dim) == (kv_heads, head_dim)
    }

    /// What a sequence that begins with this one's tokens has of its own at first; see `Sight::Caches`.
    pub fn after(&self) -> Cache {
        self.last_partial_tile(0)
    }

    /// Tokens in whole tiles.
    pub fn in_whole_tiles(&self) -> usize {
        self.len / TILE * TILE
    }

    /// The tokens after the last whole tile as a cache of their own, with room for `capacity` tokens.
    pub(super) fn last_partial_tile(&self, capacity: usize) -> Cache {
        let (whole, rest) = (self.len / TILE, self.len % TILE);
        let mut last = Cache::new(self.kv_heads, self.head_dim);
        last.reserve(capacity.max(rest));
        if rest > 0 {
            let size = last.tile_size();
            last.tiles[..size].copy_from_slice(&self.tiles[whole * size..][..size]);
            last.len = rest;
        }
        last
    }

    /// `[TILE / PANEL, head_dim, PANEL]` of one head in one tile.
    #[inline(always)]
    pub(super) fn keys(&self, tile: usize, kv_head: usize) -> &[f32] {
        &self.tiles[tile * self.tile_size() + kv_head * head_tile(self.head_dim)..]
            [..TILE * self.head_dim]
    }

    /// `[head_dim / PANEL, rounded up; TILE, PANEL]` of one head in one tile.
    #[inline(always)]
    pub(super) fn values(&self, tile: usize, kv_head: usize) -> &[f32] {
        let head = tile * self.tile_size() + kv_head * head_tile(self.head_dim);
        &self.tiles[head + TILE * self.head_dim..][..TILE * padded(self.head_dim)]
    }

    /// Appends `tokens` of `keys_values`, `[tokens, 2 · kv_heads · head_dim]`; the first has `position`, which the
    /// caller has checked against the rotary table.
    pub(super) fn extend(
        &mut self,
        position: usize,
        keys_values: Rows,
        tokens: Range<usize>,
        positions: &Positions,
    ) {
        self.reserve(self.len + tokens.len());
        let head_dim = self.head_dim;
        dispatch_width(head_dim, Append { cache: self, position, keys_values, tokens, positions });
    }

    fn reserve(&mut self, len: usize) {
        let size = len.div_ceil(TILE) * self.tile_size();
        if size > self.tiles.len() {
            self.tiles.reserve_exact(size - self.tiles.len());
            self.tiles.resize(size, 0.0);
        }
    }

    fn tile_size(&self) -> usize {
        self.kv_heads * head_tile(self.head_dim)
    }
}

/// `head_dim` filled up to whole panels.
pub fn padded(head_dim: usize) -> usize {
    head_dim.next_multiple_of(PANEL)
}

fn head_tile(head_dim: usize) -> usize {
    TILE * (head_dim + padded(head_dim))
}

struct Append<'a> {
    cache: &'a mut Cache,
    position: usize,
    keys_values: Rows<'a>,
    tokens: Range<usize>,
    positions: &'a Positions<'a>,
}

impl OfWidth for Append<'_> {
    #[inline(always)]
    fn run(self, head_dim: usize) {
        let Append { cache, position, keys_values, tokens, positions } = self;
        let (kv_heads, tile_size) = (cache.kv_heads, cache.tile_size());
        let rotated = &mut vec![0f32; head_dim];
        for (position, token) in (position..).zip(tokens) {
            let slot = cache.len;
            let (keys, values) = keys_values.row(token).split_at(kv_heads * head_dim);
            let start = slot / TILE * tile_size;
            let heads = cache.tiles[start..].chunks_exact_mut(head_tile(head_dim));
            let parts = keys.chunks_exact(head_dim).zip(values.chunks_exact(head_dim));
            for ((key, value), tile) in parts.zip(heads) {
                let (key_panels, value_panels) = tile.split_at_mut(TILE * head_dim);
                positions.place(position, key, 1.0, rotated);
                write_key(rotated, slot % TILE, key_panels);
                write_value(value, slot % TILE, value_panels);
            }
            cache.len += 1;
        }
    }
}

#[inline(always)]
fn write_key(key: &[f32], slot: usize, panels: &mut [f32]) {
    let panel = &mut panels[slot / PANEL * PANEL * key.len()..][..PANEL * key.len()];
    for (row, x) in panel.as_chunks_mut::<PANEL>().0.iter_mut().zip(key) {
        row[slot % PANEL] = *x;
    }
}

#[inline(always)]
fn write_value(value: &[f32], slot: usize, panels: &mut [f32]) {
    for (part, panel) in value.chunks(PANEL).zip(panels.chunks_exact_mut(TILE * PANEL)) {
        panel[slot * PANEL..][..part.len()].copy_from_slice(part);
    }
}
