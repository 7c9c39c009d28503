/// `scale · x`, or `x` itself.
pub fn passthrough(model: &[f32], scale: Option<f32>) -> Vec<f32> {
    match scale {
        Some(scale) => model.iter().map(|x| x * scale).collect(),
        None => model.to_vec(),
    }
}
