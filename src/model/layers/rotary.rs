//! Rotary position embedding (Su et al. 2021, equation 34) in the half-split layout of the Hugging Face checkpoints.

/// Cosines and sines for the positions `0..positions`, each `[positions, head_dim / 2]`.
pub struct Rotary {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
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
        Rotary { cos, sin, half }
    }

    /// Writes the rotated `head` (one head of one token) as `put(dimension, value)`.
    #[inline(always)]
    pub fn rotate(&self, position: usize, head: &[f32], mut put: impl FnMut(usize, f32)) {
        let cos = &self.cos[position * self.half..][..self.half];
        let sin = &self.sin[position * self.half..][..self.half];
        let (low, high) = head.split_at(self.half);
        for i in 0..self.half {
            put(i, low[i] * cos[i] - high[i] * sin[i]);
            put(self.half + i, high[i] * cos[i] + low[i] * sin[i]);
        }
    }
}
