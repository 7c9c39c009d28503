//! Karcher mean: the point of a sphere whose squared distances along the sphere to the models sum to the least
//! (arXiv:2603.04972).

use std::f64::consts::PI;

use super::combination::combination;
use super::gram::Gram;

/// Angle from the antipode below which the direction towards a point is undefined.
const CUT_LOCUS: f64 = 1e-6;

/// Karcher mean of the models' directions, at the mean of their norms; each tensor is one vector, all weigh the same.
///
/// `models` are row-major slices of equal length; a base model, where the recipe lists one, is a point like the others.
/// Gradient steps of length 1 from the normalised mean, at most `max_iter`, until a step is shorter than `tol`
/// (radians). Models of norm `tol` or less have no direction but count in the mean norm; without any direction the
/// result is 0. A single model is returned as it is. Points opposite to the mean do not pull.
///
/// mergekit takes the angles from cosines in `f32`, in which angles below 2.4e-4 are 0; here they are resolved.
pub fn karcher(models: &[&[f32]], max_iter: usize, tol: f64) -> Vec<f32> {
    if let [only] = models {
        return only.to_vec();
    }
    let mut gram = Gram::of(models, None);
    let norms = gram.norms();
    let inverse: Vec<f64> =
        norms.iter().map(|norm| if *norm > tol { 1.0 / norm } else { 0.0 }).collect();
    gram.scale(&inverse);
    let directions = UnitVectors::new(gram, &inverse, tol);
    let mean = directions.karcher_mean(max_iter);
    let radius = norms.iter().sum::<f64>() / models.len() as f64;
    let coefficients: Vec<f64> = mean.iter().zip(inverse).map(|(c, i)| radius * c * i).collect();
    combination(models, &coefficients, None)
}

/// Unit vectors, known by their products; points of the sphere are combinations of them.
struct UnitVectors {
    gram: Gram,
    /// Sum to 1; 0 for vectors without direction.
    weights: Vec<f64>,
    tol: f64,
}

impl UnitVectors {
    fn new(gram: Gram, inverse_norms: &[f64], tol: f64) -> UnitVectors {
        let valid = inverse_norms.iter().filter(|inverse| **inverse > 0.0).count();
        let weight = |inverse: &f64| if *inverse > 0.0 { 1.0 / valid as f64 } else { 0.0 };
        UnitVectors { gram, weights: inverse_norms.iter().map(weight).collect(), tol }
    }

    fn karcher_mean(&self, max_iter: usize) -> Vec<f64> {
        let mut mean = self.start();
        for _ in 0..max_iter {
            let tangent = self.tangent(&mean);
            let step = self.gram.length(&tangent);
            if step < self.tol || step == 0.0 {
                break;
            }
            let (sin, cos) = step.sin_cos();
            let moved = mean.iter().zip(&tangent).map(|(c, t)| cos * c + sin * t / step).collect();
            mean = self.normalised(moved);
        }
        mean
    }

    /// The normalised mean, or the first vector where the vectors cancel.
    fn start(&self) -> Vec<f64> {
        if self.gram.length(&self.weights) >= self.tol {
            return self.normalised(self.weights.clone());
        }
        let first = self.weights.iter().position(|weight| *weight > 0.0);
        (0..self.weights.len()).map(|i| if Some(i) == first { 1.0 } else { 0.0 }).collect()
    }

    fn normalised(&self, mut point: Vec<f64>) -> Vec<f64> {
        let length = self.gram.length(&point);
        if length > self.tol {
            point.iter_mut().for_each(|c| *c /= length);
        }
        point
    }

    /// Weighted sum of the logarithms of the vectors at `mean`.
    fn tangent(&self, mean: &[f64]) -> Vec<f64> {
        let mut tangent = vec![0.0; mean.len()];
        for (i, weight) in self.weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            let cosine = self.gram.against(i, mean).clamp(-1.0, 1.0);
            let theta = cosine.acos();
            if theta < self.tol || theta > PI - CUT_LOCUS {
                continue;
            }
            let pull = weight * theta / theta.sin().max(f64::MIN_POSITIVE);
            tangent[i] += pull;
            tangent.iter_mut().zip(mean).for_each(|(t, c)| *t -= pull * cosine * c);
        }
        tangent
    }
}
