/// Least difference that the threshold is divided by.
const LEAST_DIFFERENCE: f32 = 1e-6;

/// Takes the expert's elements where they are nearer to the base's than `t`, and of the others a share `t/|b - x|`
/// (<https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001>).
///
/// `base` and `expert` are row-major slices of equal length; `t` is in the unit of the elements. 0 or less gives the
/// base. The difference counts as at least 1e-6.
pub fn nearswap(base: &[f32], expert: &[f32], t: f32) -> Vec<f32> {
    let merge = |(b, x): (&f32, &f32)| {
        let share = (t / (b - x).abs().max(LEAST_DIFFERENCE)).clamp(0.0, 1.0);
        share * x + (1.0 - share) * b
    };
    base.iter().zip(expert).map(merge).collect()
}
