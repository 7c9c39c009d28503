//! Sums over the elements of a tensor, in `f64`.

/// Partial sums kept side by side, so that the processor need not wait for one addition before the next. Fixed, since
/// it decides the order of the sum and with it the last bit.
const LANES: usize = 8;

/// Scalar product; slices of equal length.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |x, y| x * y)
}

fn sum(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((lane, x), y) in lanes.iter_mut().zip(a).zip(b) {
            *lane += term(f64::from(*x), f64::from(*y));
        }
    }
    lanes.iter().sum()
}
