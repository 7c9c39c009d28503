//! Multi-SLERP: interpolation of several models on a sphere (<https://goddard.blog/posts/multislerp-wow-what-a-cool-idea>).

use super::MeanError;
use super::combination::combination;
use super::gram::Gram;

/// How the models are weighted on the sphere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SphereMean {
    /// Divide the weights by their sum; without it they scale the length of the result too.
    pub normalize_weights: bool,
    /// Added to the norm that a tensor is divided by, and the least length of the mean direction.
    pub eps: f64,
}

/// The direction of `Σ w x/(‖x‖+eps)`, at the length `Σ w ‖x‖`; each tensor is one vector, taken from `base` if given.
///
/// `models` and `base` are row-major slices of equal length, `weights` one per model. A single model is returned as it
/// is. mergekit projects the unit vectors on the tangent space at their weighted mean, sums them there and maps the sum
/// back; the tangent vectors at the mean sum to 0, so that what is left is the mean's direction (times cos eps). Vectors all of length
/// 0 (a tensor that no expert changed) give the base, where mergekit raises for more than two of them.
///
/// # Errors
/// More than two models whose mean direction is shorter than `eps` (two are then interpolated linearly); with
/// `normalize_weights`, weights that sum to 0.
pub fn multislerp(
    base: Option<&[f32]>,
    models: &[&[f32]],
    weights: &[f32],
    options: SphereMean,
) -> Result<Vec<f32>, MeanError> {
    if let [only] = models {
        return Ok(only.to_vec());
    }
    let weights = scaled_weights(weights, options.normalize_weights)?;
    let coefficients = coefficients(&Gram::of(models, base), weights, options.eps)?;
    Ok(combination(models, &coefficients, base))
}

fn scaled_weights(weights: &[f32], normalize: bool) -> Result<Vec<f64>, MeanError> {
    let sum: f32 = weights.iter().sum();
    let divisor = match (normalize, sum) {
        (false, _) => 1.0,
        (true, 0.0) => return Err(MeanError::ZeroWeight),
        (true, sum) => f64::from(sum),
    };
    Ok(weights.iter().map(|weight| f64::from(*weight) / divisor).collect())
}

/// Coefficient of each vector in the result.
fn coefficients(gram: &Gram, weights: Vec<f64>, eps: f64) -> Result<Vec<f64>, MeanError> {
    let norms = gram.norms();
    let weighted_norms = weights.iter().zip(&norms);
    let radius: f64 = weighted_norms.clone().map(|(w, norm)| w * norm).sum();
    let mean: Vec<f64> = weighted_norms.map(|(w, norm)| w / (norm + eps)).collect();
    let length = gram.length(&mean);
    if length >= eps && length > 0.0 {
        // mergekit steps by a tangent of length eps, so that what it goes on from is shortened by this.
        let shortened = radius / length * eps.cos();
        return Ok(mean.iter().map(|c| c * shortened).collect());
    }
    let models = weights.len();
    if models == 2 || norms.iter().all(|norm| *norm == 0.0) {
        return Ok(weights);
    }
    Err(MeanError::Cancelled { models, length, eps })
}
