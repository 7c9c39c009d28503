//! Every sight against the formula in f64, and the same bits for every packing.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::{Device, Result, Tensor};
use proptest::prelude::*;

use super::naive::{self, Placed, Terms};
use super::*;

const LONGEST: usize = 300;
const BUCKETS: usize = 8;
const FARTHEST: usize = 20;

/// Values in [-1, 1) that look random, the same for the same `seed`.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mix = |i: u64| {
        let x = (i ^ (seed << 32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) >> 40
    };
    (0..count as u64).map(|i| mix(i) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// A matrix as a column range of a wider one.
fn matrix(values: &[f32], width: usize) -> Tensor {
    let rows: Vec<f32> = values
        .chunks(width)
        .flat_map(|row| [&[f32::NAN; 3], row, &[f32::NAN; 2]].concat())
        .collect();
    let wide = Tensor::from_vec(rows, (values.len() / width, width + 5), &Device::Cpu).unwrap();
    wide.narrow(1, 3, width).unwrap()
}

fn attention(op: &Attention, q: &[f32], kv: &[f32]) -> Result<Vec<f32>> {
    let HeadShape { heads, kv_heads, head_dim, .. } = *op.shape;
    let out =
        Tensor::full(f32::NAN, (q.len() / (heads * head_dim), heads * head_dim), &Device::Cpu)?;
    let (q, kv) = (matrix(q, heads * head_dim), matrix(kv, 2 * kv_heads * head_dim));
    out.inplace_op3(&q, &kv, op)?;
    out.flatten_all()?.to_vec1()
}

/// Which positional terms, and what they are made of.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Absolute,
    Rotary,
    PartialRotary,
    Alibi,
    Relative,
}

struct Tables {
    rotary: Rotary,
    partial: Rotary,
    slopes: Vec<f32>,
    relative: RelativeBias,
}

/// Small distances are far apart, so that an error by one shows.
fn distance_bias(head: usize, distance: isize) -> f64 {
    let bucket = super::relative_bias::bucket(distance, BUCKETS, FARTHEST, true);
    f64::from((bucket * 5 % 7) as f32 * 0.5 - head as f32)
}

fn frequencies(width: usize) -> Vec<f32> {
    (0..width / 2).map(|i| 10_000f32.powf(-2.0 * i as f32 / width as f32)).collect()
}

impl Tables {
    fn new(shape: &HeadShape) -> Self {
        let bucket_values: Vec<f32> = (0..BUCKETS)
            .flat_map(|bucket| {
                (0..shape.heads).map(move |head| (bucket * 5 % 7) as f32 * 0.5 - head as f32)
            })
            .collect();
        let half = frequencies(shape.head_dim / 4 * 2);
        Tables {
            rotary: Rotary::new(10_000.0, shape.head_dim, LONGEST),
            partial: Rotary::from_frequencies(&half, 1.25, LONGEST),
            slopes: (0..shape.heads).map(|head| 0.5f32.powi(head as i32 + 4)).collect(),
            relative: RelativeBias::new(
                &bucket_values,
                shape.heads,
                BUCKETS,
                FARTHEST,
                true,
                LONGEST,
            ),
        }
    }

    fn positions(&self, kind: Kind) -> Positions<'_> {
        match kind {
            Kind::Absolute => Positions::Absolute,
            Kind::Rotary => Positions::Rotary(&self.rotary),
            Kind::PartialRotary => Positions::Rotary(&self.partial),
            Kind::Alibi => Positions::Alibi(&self.slopes),
            Kind::Relative => Positions::Relative(&self.relative),
        }
    }

    fn terms(&self, kind: Kind, head_dim: usize) -> Terms {
        let double = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect();
        match kind {
            Kind::Absolute => Terms::Absolute,
            Kind::Rotary => Terms::Rotary(double(&frequencies(head_dim)), 1.0),
            Kind::PartialRotary => Terms::Rotary(double(&frequencies(head_dim / 4 * 2)), 1.25),
            Kind::Alibi => Terms::Slopes(double(&self.slopes)),
            Kind::Relative => Terms::Distance(distance_bias),
        }
    }
}

/// Queries, keys and values of a number of tokens.
struct Tokens<'a> {
    shape: &'a HeadShape,
    q: Vec<f32>,
    kv: Vec<f32>,
}

impl<'a> Tokens<'a> {
    fn new(shape: &'a HeadShape, queries: usize, keys: usize) -> Self {
        let q = noise(1, queries * shape.heads * shape.head_dim).iter().map(|x| 3.0 * x).collect();
        Tokens { shape, q, kv: noise(2, keys * 2 * shape.kv_heads * shape.head_dim) }
    }

    fn query(&self, row: usize) -> &[f32] {
        let width = self.shape.heads * self.shape.head_dim;
        &self.q[row * width..][..width]
    }

    fn key(&self, token: usize) -> &[f32] {
        self.keys(token..token + 1)
    }

    fn keys(&self, tokens: Range<usize>) -> &[f32] {
        let width = 2 * self.shape.kv_heads * self.shape.head_dim;
        &self.kv[tokens.start * width..tokens.end * width]
    }

    /// Queries of these tokens.
    fn queries(&self, tokens: &[usize]) -> Vec<f32> {
        tokens.iter().flat_map(|token| self.query(*token)).copied().collect()
    }
}

/// The tokens on the path from the root to `token`, with their depths.
fn ancestors(depths: &[usize], token: usize) -> Vec<usize> {
    let mut path = vec![token];
    for earlier in (0..token).rev() {
        if depths[earlier] + 1 == depths[*path.last().unwrap()] {
            path.push(earlier);
        }
    }
    path.reverse();
    path
}

fn assert_close(got: &[f32], expected: &[f64], what: &str) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        let off = (f64::from(*got) - expected).abs();
        assert!(off < 2e-5, "{what}: {got} instead of {expected}");
    }
}

fn shapes() -> impl Iterator<Item = HeadShape> {
    let heads = [(1, 1, 16), (6, 2, 20), (4, 4, 32), (9, 3, 64), (5, 1, 80)];
    let scores = [(None, None), (Some(2.0), None), (None, Some(7)), (Some(3.0), Some(70))];
    heads.into_iter().flat_map(move |(heads, kv_heads, head_dim)| {
        scores.map(|(softcap, window)| {
            let scale = 1.0 / (head_dim as f32).sqrt();
            HeadShape { heads, kv_heads, head_dim, scale, softcap, window }
        })
    })
}

const KINDS: [Kind; 5] =
    [Kind::Absolute, Kind::Rotary, Kind::PartialRotary, Kind::Alibi, Kind::Relative];

/// Two trees: one with branches at several depths, among them across the tile's end, and a small one.
fn depths() -> Vec<usize> {
    [0..75, 70..90, 40..41, 40..43, 41..135, 0..3, 1..2].into_iter().flatten().collect()
}

fn expected_tree(tokens: &Tokens, terms: &Terms, depths: &[usize], token: usize) -> Vec<f64> {
    let window = tokens.shape.window.unwrap_or(usize::MAX);
    let sees: Vec<Placed> = ancestors(depths, token)
        .into_iter()
        .filter(|key| depths[token] - depths[*key] < window)
        .map(|key| (tokens.key(key), depths[key]))
        .collect();
    naive::attend(tokens.shape, terms, (tokens.query(token), depths[token]), &sees)
}

#[test]
fn a_tree_follows_the_formula() {
    let depths = depths();
    let rows: Vec<usize> = (0..depths.len()).collect();
    for shape in shapes() {
        let (tables, tokens) = (Tables::new(&shape), Tokens::new(&shape, rows.len(), rows.len()));
        for kind in KINDS {
            let terms = tables.terms(kind, shape.head_dim);
            let sight = Sight::Tree { depths: &depths, prefix: None };
            let op =
                Attention { shape: &shape, positions: tables.positions(kind), sight, rows: &rows };
            let got = attention(&op, &tokens.q, &tokens.kv).unwrap();
            for (token, got) in got.chunks(shape.heads * shape.head_dim).enumerate().step_by(3) {
                let expected = expected_tree(&tokens, &terms, &depths, token);
                assert_close(got, &expected, &format!("{kind:?} {shape:?} token {token}"));
            }
        }
    }
}

#[test]
fn segments_follow_the_formula() {
    let starts = [0, 5, 5, 110, 111];
    let rows: Vec<usize> = (0..111).filter(|row| row % 4 != 1).collect();
    for shape in shapes().filter(|shape| shape.window.is_none()) {
        let (tables, tokens) = (Tables::new(&shape), Tokens::new(&shape, 111, 111));
        for kind in KINDS {
            let terms = tables.terms(kind, shape.head_dim);
            let sight = Sight::Segments { starts: &starts };
            let op =
                Attention { shape: &shape, positions: tables.positions(kind), sight, rows: &rows };
            let got = attention(&op, &tokens.queries(&rows), &tokens.kv).unwrap();
            for (row, got) in rows.iter().zip(got.chunks(shape.heads * shape.head_dim)) {
                let segment = starts.windows(2).find(|ends| *row < ends[1]).unwrap();
                let sees: Vec<Placed> = (segment[0]..segment[1])
                    .map(|key| (tokens.key(key), key - segment[0]))
                    .collect();
                let query = (tokens.query(*row), row - segment[0]);
                let expected = naive::attend(&shape, &terms, query, &sees);
                assert_close(got, &expected, &format!("{kind:?} {shape:?} row {row}"));
            }
        }
    }
}

#[test]
fn sources_follow_the_formula() {
    let starts = [0, 70, 70, 75];
    let source_of_row = [0, 0, 2, 2, 2, 0];
    for shape in shapes().filter(|shape| shape.window.is_none()) {
        let tokens = Tokens::new(&shape, 6, 75);
        let sight = Sight::Sources { starts: &starts, source_of_row: &source_of_row };
        let op = Attention { shape: &shape, positions: Positions::Absolute, sight, rows: &[] };
        let got = attention(&op, &tokens.q, &tokens.kv).unwrap();
        for (row, got) in got.chunks(shape.heads * shape.head_dim).enumerate() {
            let source = source_of_row[row];
            let sees: Vec<Placed> =
                (starts[source]..starts[source + 1]).map(|key| (tokens.key(key), 0)).collect();
            let expected = naive::attend(&shape, &Terms::Absolute, (tokens.query(row), 0), &sees);
            assert_close(got, &expected, &format!("{shape:?} row {row}"));
        }
        let kept = |ends: &[usize]| {
            let mut cache = Cache::new(shape.kv_heads, shape.head_dim);
            let source: Vec<usize> = (ends[0]..ends[1]).collect();
            let source = matrix(&gathered(&tokens, &source), 2 * shape.kv_heads * shape.head_dim);
            extend_cache(&mut cache, &source, &Positions::Absolute, &shape).unwrap();
            cache
        };
        let caches: Vec<Cache> = starts.windows(2).map(kept).collect();
        let sight = Sight::Kept { caches: &caches, cache_of_row: &source_of_row };
        let op = Attention { shape: &shape, positions: Positions::Absolute, sight, rows: &[] };
        assert_eq!(attention(&op, &tokens.q, &[]).unwrap(), got, "{shape:?}");
    }
}

/// A forest whose every path is at most [`LONGEST`] long: what each chain branches off from, and its length.
fn forests() -> impl Strategy<Value = Vec<usize>> {
    let chain = (0.0..1.0f64, prop_oneof![1..4usize, 1..40usize, 60..140usize]);
    proptest::collection::vec(chain, 1..6).prop_map(|chains| {
        let mut depths: Vec<usize> = Vec::new();
        for (at, length) in chains {
            let height = depths.last().map_or(0, |deepest| deepest + 1);
            let first = ((height + 1) as f64 * at) as usize;
            depths.extend(first..(first + length).min(LONGEST));
        }
        depths
    })
}

fn any_shape() -> impl Strategy<Value = HeadShape> {
    let heads = prop_oneof![Just((1, 1)), Just((3, 3)), Just((6, 2)), Just((8, 1)), Just((43, 1))];
    let window = proptest::option::of(1..150usize);
    let softcap = proptest::option::of(Just(2.0));
    let head_dim = prop_oneof![Just(4), Just(20), Just(32), Just(64)];
    (heads, head_dim, window, softcap).prop_map(|((heads, kv_heads), head_dim, window, softcap)| {
        HeadShape { heads, kv_heads, head_dim, scale: 0.3, softcap, window }
    })
}

fn any_kind() -> impl Strategy<Value = Kind> {
    proptest::sample::select(KINDS.to_vec())
}

/// All tokens of the forest in one call.
fn packed(tokens: &Tokens, positions: Positions, depths: &[usize]) -> Vec<f32> {
    let rows: Vec<usize> = (0..depths.len()).collect();
    let sight = Sight::Tree { depths, prefix: None };
    attention(
        &Attention { shape: tokens.shape, positions, sight, rows: &rows },
        &tokens.q,
        &tokens.kv,
    )
    .unwrap()
}

fn row_of<'a>(out: &'a [f32], shape: &HeadShape, row: usize) -> &'a [f32] {
    &out[row * shape.heads * shape.head_dim..][..shape.heads * shape.head_dim]
}

fn gathered(tokens: &Tokens, path: &[usize]) -> Vec<f32> {
    path.iter().flat_map(|token| tokens.key(*token)).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// A token of a forest, the last of its path alone, and after a prefix of any length: the same bits.
    #[test]
    fn a_token_has_the_same_bits_in_every_packing(
        depths in forests(), shape in any_shape(), kind in any_kind(), at in 0.0..1.0f64, cut in 0.0..1.0f64,
    ) {
        let tables = Tables::new(&shape);
        let positions = tables.positions(kind);
        let tokens = Tokens::new(&shape, depths.len(), depths.len());
        let out = packed(&tokens, positions, &depths);
        let token = (depths.len() as f64 * at) as usize;
        let (path, expected) = (ancestors(&depths, token), row_of(&out, &shape, token));

        let line: Vec<usize> = (0..path.len()).collect();
        let sight = Sight::Tree { depths: &line, prefix: None };
        let rows = [path.len() - 1];
        let op = Attention { shape: &shape, positions, sight, rows: &rows };
        let alone = attention(&op, tokens.query(token), &gathered(&tokens, &path)).unwrap();
        prop_assert_eq!(&alone, expected);

        let (before, after) = path.split_at((path.len() as f64 * cut) as usize);
        let mut prefix = Cache::new(shape.kv_heads, shape.head_dim);
        let header = matrix(&gathered(&tokens, before), 2 * shape.kv_heads * shape.head_dim);
        if !before.is_empty() {
            extend_cache(&mut prefix, &header, &positions, &shape).unwrap();
        }
        // The path's end twice: the second stands where the first was cut away.
        let twice: Vec<usize> = [&line[before.len()..], &line[before.len()..]].concat();
        let sight = Sight::Tree { depths: &twice, prefix: Some(&prefix) };
        let rows = [after.len() - 1, twice.len() - 1];
        let op = Attention { shape: &shape, positions, sight, rows: &rows };
        let kv = gathered(&tokens, &[after, after].concat());
        let both = attention(&op, &tokens.queries(&[token, token]), &kv).unwrap();
        prop_assert_eq!(&both, &[expected, expected].concat());
    }

    /// The last path of a forest, behind a beginning of any length that two sequences share, fed to a cache in runs of any
    /// length.
    #[test]
    fn generation_has_the_same_bits_as_reading(
        depths in forests(), shape in any_shape(), kind in any_kind(), step in 1..50usize, cut in 0.0..1.0f64,
    ) {
        let tables = Tables::new(&shape);
        let positions = tables.positions(kind);
        let tokens = Tokens::new(&shape, depths.len(), depths.len());
        let out = packed(&tokens, positions, &depths);
        let path = ancestors(&depths, depths.len() - 1);
        let (before, after) = path.split_at((path.len() as f64 * cut) as usize);
        let mut prefix = Cache::new(shape.kv_heads, shape.head_dim);
        let header = matrix(&gathered(&tokens, before), 2 * shape.kv_heads * shape.head_dim);
        if !before.is_empty() {
            extend_cache(&mut prefix, &header, &positions, &shape).unwrap();
        }
        let caches = RefCell::new(vec![prefix.after(), prefix.after()]);
        for run in after.chunks(step) {
            let both = [&run[..1], run].concat();
            let (rows, counts) = ((0..both.len()).collect::<Vec<_>>(), [1, run.len()]);
            let prefix = (!before.is_empty()).then_some(&prefix);
            let sight = Sight::Caches { prefix, caches: &caches, counts: &counts };
            let op = Attention { shape: &shape, positions, sight, rows: &rows };
            let got = attention(&op, &tokens.queries(&both), &gathered(&tokens, &both)).unwrap();
            for (index, token) in run.iter().enumerate() {
                prop_assert_eq!(row_of(&got, &shape, index + 1), row_of(&out, &shape, *token));
            }
        }
        prop_assert_eq!(prefix.in_whole_tiles() + caches.borrow()[1].len(), path.len());
    }
}

fn plain(window: Option<usize>) -> HeadShape {
    HeadShape { heads: 2, kv_heads: 1, head_dim: 4, scale: 0.5, softcap: None, window }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let (shape, rotary) = (plain(None), Rotary::new(10_000.0, 4, 2));
    let tokens = Tokens::new(&shape, 3, 3);
    let bidirectional = plain(Some(2));
    let fails = |shape: &HeadShape, positions, sight, rows: &[usize]| {
        attention(&Attention { shape, positions, sight, rows }, &tokens.q, &tokens.kv)
            .unwrap_err()
            .to_string()
    };
    let tree = |depths| Sight::Tree { depths, prefix: None };
    let rows = [0, 1, 2];
    for (shape, positions, sight, rows, word) in [
        (&shape, Positions::Rotary(&rotary), tree(&[0, 1, 2][..]), &rows, "table"),
        (&shape, Positions::Absolute, tree(&[0, 2, 3][..]), &rows, "parent"),
        (&shape, Positions::Absolute, tree(&[0, 1][..]), &rows, "depths"),
        (&shape, Positions::Absolute, tree(&[0, 1, 2][..]), &[0, 1, 1], "ascend"),
        (&shape, Positions::Absolute, Sight::Segments { starts: &[0, 2] }, &rows, "starts"),
        (&bidirectional, Positions::Absolute, Sight::Segments { starts: &[0, 3] }, &rows, "causal"),
        (&shape, Positions::Alibi(&[1.0]), tree(&[0, 1, 2][..]), &rows, "for 1 heads"),
        (
            &shape,
            Positions::Absolute,
            Sight::Sources { starts: &[0, 3, 3], source_of_row: &[0, 0, 1] },
            &rows,
            "empty",
        ),
    ] {
        let message = fails(shape, positions, sight, rows);
        assert!(message.contains(word), "{message} does not say `{word}`");
    }
}
