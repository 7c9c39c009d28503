//! Geometric median of models: the point whose distances to them sum to the least, by Weiszfeld's algorithm with the
//! guard of Vardi & Zhang (2000, PNAS 97:1423) at the models themselves. mergekit has no such method.

use super::MeanError;
use super::combination::combination;
use super::gram::Gram;

/// Distances below this share of the largest between two models count as 0; so much is lost in scalar products.
const COINCIDENT: f64 = 1e-7;

/// A model is the median only if it is so by more than rounding; else a choice between equals would hang on the order.
const STRICTLY: f64 = 1.0 - 1e-9;

/// When Weiszfeld's iteration ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weiszfeld {
    /// Largest number of steps.
    pub max_iter: usize,
    /// A step shorter than this, in units of the largest distance between two models, is the last.
    pub tol: f64,
}

/// `base + λ · median(x - base)`, the median minimising `Σ w ‖x - m‖`; without `base`, `λ · median(x)`.
///
/// `models` and `base` are row-major slices of equal length, each one vector; `weights` one per model, 0 or more. The
/// median does not depend on the base, as it moves with the models; a model that outweighs the pull of all others is
/// the median itself and comes out exactly. Where the median is not unique (as for two models of equal weight) the
/// iteration, which starts from the weighted mean, picks one that does not depend on the order.
///
/// # Errors
/// A weight below 0 or NaN; weights that sum to 0.
pub fn geometric_median(
    base: Option<&[f32]>,
    models: &[&[f32]],
    weights: &[f32],
    lambda: f32,
    stop: Weiszfeld,
) -> Result<Vec<f32>, MeanError> {
    let points = Points::new(models, weights)?;
    let median = points.median(stop);
    let scaled: Vec<f64> = median.iter().map(|c| c * f64::from(lambda)).collect();
    Ok(combination(models, &scaled, base))
}

/// Weighted points, known by their distances; a point among them is an affine combination (coefficients sum to 1).
struct Points {
    squared_distances: Vec<Vec<f64>>,
    /// Sum to 1.
    weights: Vec<f64>,
    /// Largest distance between two.
    spread: f64,
}

impl Points {
    fn new(models: &[&[f32]], weights: &[f32]) -> Result<Points, MeanError> {
        let invalid = |weight: &f32| weight.is_nan() || *weight < 0.0;
        if let Some(model) = weights.iter().position(invalid) {
            return Err(MeanError::NegativeWeight { model, weight: weights[model] });
        }
        let sum: f64 = weights.iter().copied().map(f64::from).sum();
        if sum == 0.0 {
            return Err(MeanError::ZeroWeight);
        }
        let squared_distances = squared_distances(models);
        let spread = squared_distances.iter().flatten().copied().fold(0.0, f64::max).sqrt();
        let weights = weights.iter().map(|weight| f64::from(*weight) / sum).collect();
        Ok(Points { squared_distances, weights, spread })
    }

    fn median(&self, stop: Weiszfeld) -> Vec<f64> {
        let count = self.weights.len();
        let vertex = |i| -> Vec<f64> { (0..count).map(|j| f64::from(i == j)).collect() };
        let outweighs = |i: &usize| {
            let pull = self.pull(&vertex(*i));
            self.weights[*i] > 0.0 && pull.length < STRICTLY * pull.held
        };
        if let Some(i) = (0..count).find(outweighs) {
            return vertex(i);
        }
        let mut point = self.weights.clone();
        for _ in 0..stop.max_iter {
            let next = self.pull(&point).step(&point);
            let moved = self.distance(&next, &point);
            point = next;
            if moved <= stop.tol * self.spread {
                break;
            }
        }
        point
    }

    /// What the models do to `point`.
    fn pull(&self, point: &[f64]) -> Pull {
        let mut held = 0.0;
        let mut target: Vec<f64> = Vec::with_capacity(point.len());
        for (distance, weight) in self.distances_to(point).into_iter().zip(&self.weights) {
            let coincides = distance <= COINCIDENT * self.spread;
            held += if coincides { *weight } else { 0.0 };
            target.push(if coincides { 0.0 } else { weight / distance });
        }
        let sum: f64 = target.iter().sum();
        if sum == 0.0 {
            return Pull { target: point.to_vec(), length: 0.0, held };
        }
        target.iter_mut().for_each(|c| *c /= sum);
        let length = sum * self.distance(&target, point);
        Pull { target, length, held }
    }

    /// Distance of each model from the affine combination `point`.
    fn distances_to(&self, point: &[f64]) -> Vec<f64> {
        let mean_squares: Vec<f64> =
            self.squared_distances.iter().map(|row| product(row, point)).collect();
        let within = product(&mean_squares, point) / 2.0;
        mean_squares.iter().map(|square| (square - within).max(0.0).sqrt()).collect()
    }

    fn distance(&self, a: &[f64], b: &[f64]) -> f64 {
        let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let rows = self.squared_distances.iter().map(|row| product(row, &difference));
        let square: f64 = rows.zip(&difference).map(|(row, d)| row * d).sum();
        (-square / 2.0).max(0.0).sqrt()
    }
}

/// Forces at a point, one of size `weight` towards each model.
struct Pull {
    /// Mean of the models that are elsewhere, weighted by weight over distance: Weiszfeld's step.
    target: Vec<f64>,
    /// Length of the sum of the forces of these.
    length: f64,
    /// Weight of the models at the point itself.
    held: f64,
}

impl Pull {
    /// Equation 2.6 of Vardi & Zhang: models at the point hold it back.
    fn step(self, point: &[f64]) -> Vec<f64> {
        let stay = if self.held < self.length { self.held / self.length } else { 1.0 };
        let stay = if self.held == 0.0 { 0.0 } else { stay };
        self.target.iter().zip(point).map(|(t, c)| (1.0 - stay) * t + stay * c).collect()
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// From the scalar products about the first model, which keep more digits than those about 0.
fn squared_distances(models: &[&[f32]]) -> Vec<Vec<f64>> {
    let gram = Gram::of(models, models.first().copied());
    let square = |i, j| (gram.at(i, i) + gram.at(j, j) - 2.0 * gram.at(i, j)).max(0.0);
    (0..models.len()).map(|i| (0..models.len()).map(|j| square(i, j)).collect()).collect()
}
