//! Rotary position embedding (Su et al. 2021, equation 34) in the half-split layout of the Hugging Face checkpoints.

/// Cosines and sines for the positions `0..positions`, each `[positions, head_dim / 2]`.
pub struct Rotary {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotary {
    /// Angles `position · theta^(-2i / head_dim)`, computed in f32 as transformers does.
    pub fn new(theta: f64, head_dim: usize, positions: usize) -> Self {
        let half = head_dim / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / head_dim as f32))
            .collect();
        let angles = (0..positions)
            .flat_map(|position| frequencies.iter().map(move |f| position as f32 * f));
        let (sin, cos) = angles.map(f32::sin_cos).unzip();
        Rotary { cos, sin }
    }

    /// Writes `scale` times the rotated `head` (one head of one token) to `out`, of the same length.
    #[inline(always)]
    pub fn rotate(&self, position: usize, head: &[f32], scale: f32, out: &mut [f32]) {
        let half = head.len() / 2;
        let cos = &self.cos[position * half..][..half];
        let sin = &self.sin[position * half..][..half];
        let (low, high) = head.split_at(half);
        let (out_low, out_high) = out[..head.len()].split_at_mut(half);
        for i in 0..half {
            out_low[i] = (low[i] * cos[i] - high[i] * sin[i]) * scale;
            out_high[i] = (high[i] * cos[i] + low[i] * sin[i]) * scale;
        }
    }
}
