/// Weighted mean `Σ w x / Σ w`, or the weighted sum without `normalize` (model soups, arXiv:2203.05482).
///
/// `models` are row-major slices of equal length, `weights` one per model; with `normalize` their sum must not be 0.
pub fn linear(models: &[&[f32]], weights: &[f32], normalize: bool) -> Vec<f32> {
    let length = models.first().map_or(0, |model| model.len());
    let mut merged = vec![0.0_f32; length];
    for (model, weight) in models.iter().zip(weights) {
        for (sum, x) in merged.iter_mut().zip(*model) {
            *sum += weight * x;
        }
    }
    if normalize {
        let divisor: f32 = weights.iter().sum();
        merged.iter_mut().for_each(|sum| *sum /= divisor);
    }
    merged
}
