//! Attention by the formula, in f64, key by key: what the tests compare with.

use super::HeadShape;

/// Positional terms, each written out anew rather than taken from the code under test.
pub enum Terms {
    Absolute,
    /// Inverse frequencies of the pairs `(i, i + frequencies.len())`, and the factor on cosines and sines.
    Rotary(Vec<f64>, f64),
    Slopes(Vec<f64>),
    /// By head and key position - query position.
    Distance(fn(usize, isize) -> f64),
}

/// A key or query: its values, all heads, and its position.
pub type Placed<'a> = (&'a [f32], usize);

/// One row of the output: `query` against `sees`, the keys and values (side by side) in sight.
pub fn attend(shape: &HeadShape, terms: &Terms, query: Placed, sees: &[Placed]) -> Vec<f64> {
    let head_dim = shape.head_dim;
    let mut out = Vec::new();
    for head in 0..shape.heads {
        let shared = head / (shape.heads / shape.kv_heads);
        let part = |row: &[f32], index: usize| -> Vec<f64> {
            row[index * head_dim..][..head_dim].iter().map(|x| f64::from(*x)).collect()
        };
        let q = placed(terms, part(query.0, head), query.1);
        let weights: Vec<f64> = sees
            .iter()
            .map(|(key, position)| {
                let k = placed(terms, part(key, shared), *position);
                let dot: f64 = q.iter().zip(&k).map(|(q, k)| q * k).sum();
                let score = dot * f64::from(shape.scale);
                let cap = shape.softcap.map(f64::from);
                let score = cap.map_or(score, |cap| cap * (score / cap).tanh());
                (score + added(terms, head, query.1, *position)).exp()
            })
            .collect();
        let total: f64 = weights.iter().sum();
        out.extend((0..head_dim).map(|i| {
            let value = |key: &[f32]| f64::from(key[(shape.kv_heads + shared) * head_dim + i]);
            sees.iter().zip(&weights).map(|((key, _), w)| w * value(key)).sum::<f64>() / total
        }));
    }
    out
}

fn placed(terms: &Terms, head: Vec<f64>, position: usize) -> Vec<f64> {
    let Terms::Rotary(frequencies, factor) = terms else { return head };
    let half = frequencies.len();
    let mut out = head.clone();
    for (i, frequency) in frequencies.iter().enumerate() {
        let (sin, cos) = (position as f64 * frequency).sin_cos();
        out[i] = factor * (head[i] * cos - head[i + half] * sin);
        out[i + half] = factor * (head[i + half] * cos + head[i] * sin);
    }
    out
}

fn added(terms: &Terms, head: usize, query: usize, key: usize) -> f64 {
    match terms {
        Terms::Slopes(slopes) => slopes[head] * key as f64,
        Terms::Distance(bias) => bias(head, key as isize - query as isize),
        _ => 0.0,
    }
}
