use super::sums::dot;

/// Cosine above which two directions count as one and the interpolation is linear.
const COLLINEAR: f64 = 0.9995;

/// Norm below which a tensor is not normalised.
const ZERO_NORM: f64 = 1e-8;

/// Spherical interpolation from `base` (`t = 0`) to `model` (`t = 1`), each tensor one vector.
///
/// With θ the angle between the two, `sin((1-t)θ)/sin θ · base + sin(tθ)/sin θ · model`; the tensors enter as they are,
/// not normalised. Nearly parallel and nearly opposite tensors are interpolated linearly.
pub fn slerp(base: &[f32], model: &[f32], t: f32) -> Vec<f32> {
    let (to_base, to_model) = coefficients(cosine(base, model), f64::from(t));
    base.iter().zip(model).map(|(b, x)| to_base * b + to_model * x).collect()
}

fn coefficients(cosine: f64, t: f64) -> (f32, f32) {
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
