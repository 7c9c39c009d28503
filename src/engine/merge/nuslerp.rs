//! NuSLERP: spherical interpolation of two models, or of two task vectors.

use super::sums::dot;

/// Norms below this are not divided by.
const ZERO_NORM: f64 = 1e-7;

/// Sums of weights below this say nothing about their ratio.
const ZERO_WEIGHT: f64 = 1e-6;

/// What counts as one vector, with an angle of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorAxis {
    /// The whole tensor.
    Whole,
    /// Each run along the last axis, of this length.
    Last(usize),
    /// Each run along the first axis, of this length: the columns of a matrix.
    First(usize),
}

/// Spherical interpolation from the first model to the second, by the share `t = w_2 / (w_1 + w_2)`; with `base`, of
/// the task vectors, put on the base.
///
/// All slices are row-major and of equal length. With θ the angle between two vectors,
/// `(sin((1-t)θ) x_1 + sin(tθ) x_2) / sin θ`; vectors whose cosine is 1 or -1 in `f32` are interpolated linearly.
/// Weights that sum to next to 0 mean `t = 1/2`. mergekit's `nuslerp_flatten` (the default) is [`VectorAxis::Whole`];
/// without it, `nuslerp_row_wise` is [`VectorAxis::First`], and [`VectorAxis::Last`] is the case without both.
pub fn nuslerp(
    base: Option<&[f32]>,
    models: [&[f32]; 2],
    weights: [f32; 2],
    vectors: VectorAxis,
) -> Vec<f32> {
    let t = share(weights);
    let Some(base) = base else { return interpolate(models, t, vectors) };
    let deltas = models.map(|model| super::task_vector::delta(base, model));
    let [first, second] = &deltas;
    let mut merged = interpolate([first, second], t, vectors);
    merged.iter_mut().zip(base).for_each(|(sum, b)| *sum += b);
    merged
}

fn share(weights: [f32; 2]) -> f64 {
    let [first, second] = weights.map(f64::from);
    let sum = first + second;
    if sum.abs() < ZERO_WEIGHT { 0.5 } else { second / sum }
}

fn interpolate([first, second]: [&[f32]; 2], t: f64, vectors: VectorAxis) -> Vec<f32> {
    let height = match vectors {
        VectorAxis::First(height) => height.max(1),
        VectorAxis::Last(width) => return rows(first, second, t, width.max(1)),
        VectorAxis::Whole => return rows(first, second, t, first.len().max(1)),
    };
    columns(first, second, t, (first.len() / height).max(1))
}

fn rows(first: &[f32], second: &[f32], t: f64, width: usize) -> Vec<f32> {
    let mut merged = Vec::with_capacity(first.len());
    for (x, y) in first.chunks(width).zip(second.chunks(width)) {
        let products = Products { first: dot(x, x), second: dot(y, y), both: dot(x, y) };
        let (to_first, to_second) = products.coefficients(t);
        merged.extend(x.iter().zip(y).map(|(x, y)| to_first * x + to_second * y));
    }
    merged
}

/// `width` is the number of elements from one of a vector to its next.
fn columns(first: &[f32], second: &[f32], t: f64, width: usize) -> Vec<f32> {
    let mut products = vec![Products::default(); width];
    for (x, y) in first.chunks(width).zip(second.chunks(width)) {
        products.iter_mut().zip(x).zip(y).for_each(|((products, x), y)| products.add(*x, *y));
    }
    let coefficients: Vec<(f32, f32)> =
        products.iter().map(|products| products.coefficients(t)).collect();
    let mut merged = Vec::with_capacity(first.len());
    for (x, y) in first.chunks(width).zip(second.chunks(width)) {
        let elements = x.iter().zip(y).zip(&coefficients);
        merged.extend(elements.map(|((x, y), (to_x, to_y))| to_x * x + to_y * y));
    }
    merged
}

/// Scalar products of two vectors with themselves and with each other.
#[derive(Debug, Clone, Copy, Default)]
struct Products {
    first: f64,
    second: f64,
    both: f64,
}

impl Products {
    fn add(&mut self, x: f32, y: f32) {
        let (x, y) = (f64::from(x), f64::from(y));
        self.first += x * x;
        self.second += y * y;
        self.both += x * y;
    }

    /// What the two vectors are multiplied by.
    fn coefficients(&self, t: f64) -> (f32, f32) {
        let norms = self.first.sqrt().max(ZERO_NORM) * self.second.sqrt().max(ZERO_NORM);
        let cosine = (self.both / norms).clamp(-1.0, 1.0);
        if (cosine as f32).abs() == 1.0 {
            return ((1.0 - t) as f32, t as f32);
        }
        let theta = cosine.acos();
        let sin = theta.sin();
        ((((1.0 - t) * theta).sin() / sin) as f32, ((t * theta).sin() / sin) as f32)
    }
}
