/// Elements merged at a time, so few that they stay in the cache.
const BLOCK: usize = 1024;

/// `o + Σ c_i (x_i - o)`, `o` the origin; `Σ c_i x_i` without one. Sums in `f32`, in the vectors' order.
///
/// `vectors` and `origin` are row-major slices of equal length, `coefficients` one per vector.
pub(super) fn combination(
    vectors: &[&[f32]],
    coefficients: &[f64],
    origin: Option<&[f32]>,
) -> Vec<f32> {
    let length = vectors.first().map_or(0, |vector| vector.len());
    let mut merged = vec![0.0_f32; length];
    for (number, merged) in merged.chunks_mut(BLOCK).enumerate() {
        let span = number * BLOCK..number * BLOCK + merged.len();
        let origin = origin.map(|origin| &origin[span.clone()]);
        for (vector, coefficient) in vectors.iter().zip(coefficients) {
            add(merged, &vector[span.clone()], *coefficient as f32, origin);
        }
        if let Some(origin) = origin {
            merged.iter_mut().zip(origin).for_each(|(sum, o)| *sum += o);
        }
    }
    merged
}

fn add(sums: &mut [f32], vector: &[f32], coefficient: f32, origin: Option<&[f32]>) {
    let elements = sums.iter_mut().zip(vector);
    match origin {
        None => elements.for_each(|(sum, x)| *sum += coefficient * x),
        Some(origin) => {
            elements.zip(origin).for_each(|((sum, x), o)| *sum += coefficient * (x - o));
        }
    }
}
