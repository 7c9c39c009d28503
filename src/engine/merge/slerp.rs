use super::sums::dot;

/// Cosine above which two directions count as one and the interpolation is linear.
const COLLINEAR: f64 = 0.9995;

/// Norm below which a tensor is not normalised.
const ZERO_NORM: f64 = 1e-8;

/// Factors of `base` (`t = 0`) and `model` (`t = 1`) in their spherical interpolation, each tensor one vector.
///
/// With θ the angle between the two, `sin((1-t)θ)/sin θ` and `sin(tθ)/sin θ`; the tensors enter as they are, not
/// normalised. Nearly parallel and nearly opposite tensors are interpolated linearly.
pub fn slerp_coefficients(base: &[f32], model: &[f32], t: f64) -> (f32, f32) {
    let cosine = cosine(base, model);
    if cosine.abs() > COLLINEAR {
        return ((1.0 - t) as f32, t as f32);
    }
    let theta = cosine.acos();
    let sin = theta.sin();
    ((((1.0 - t) * theta).sin() / sin) as f32, ((t * theta).sin() / sin) as f32)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let norm = |a: &[f32]| match dot(a, a).sqrt() {
        norm if norm > ZERO_NORM => norm,
        _ => 1.0,
    };
    (dot(a, b) / (norm(a) * norm(b))).clamp(-1.0, 1.0)
}
