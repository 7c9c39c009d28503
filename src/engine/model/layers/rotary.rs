//! Rotary position embedding (Su et al. 2021, equation 34) in the half-split layout of the Hugging Face checkpoints.

/// Cosines and sines for the positions `0..positions`, each `[positions, width / 2]`.
///
/// `width` is how many of a head's first values are rotated: all, or fewer with a partial rotary factor.
#[derive(Debug, Clone)]
pub struct Rotary {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
    positions: usize,
}

impl Rotary {
    /// Angles `position · theta^(-2i / head_dim)`, computed in f32 as transformers does.
    #[cfg(test)]
    pub fn new(theta: f64, head_dim: usize, positions: usize) -> Self {
        let frequencies: Vec<f32> = (0..head_dim / 2)
            .map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / head_dim as f32))
            .collect();
        Rotary::from_frequencies(&frequencies, 1.0, positions)
    }

    /// Angles `position · inverse_frequencies[i]` (radians per position) for the value pairs
    /// `(i, i + inverse_frequencies.len())` of a head; values after these pairs stay as they are.
    ///
    /// `attention_scaling` multiplies cosines and sines, as transformers applies YaRN's attention factor (Peng et al.
    /// 2023, section 3.4); it is 1 for every other scaling.
    pub fn from_frequencies(
        inverse_frequencies: &[f32],
        attention_scaling: f32,
        positions: usize,
    ) -> Self {
        let (cos, sin) = cosines_sines(inverse_frequencies, attention_scaling, 0..positions);
        Rotary { cos, sin, half: inverse_frequencies.len(), positions }
    }

    /// Number of positions in the table.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Number of a head's first values that are rotated.
    pub fn width(&self) -> usize {
        2 * self.half
    }

    /// Writes `scale` times the rotated `head` (one head of one token) to `out`, of the same length.
    #[inline(always)]
    pub fn rotate(&self, position: usize, head: &[f32], scale: f32, out: &mut [f32]) {
        // Where the caller's head has a width that the compiler knows, so has the usual case here.
        if self.width() == head.len() {
            return self.rotate_pairs(position, head, scale, out);
        }
        let (rotated, rest) = head.split_at(self.width());
        let (out_rotated, out_rest) = out.split_at_mut(self.width());
        self.rotate_pairs(position, rotated, scale, out_rotated);
        for (out, x) in out_rest.iter_mut().zip(rest) {
            *out = x * scale;
        }
    }

    #[inline(always)]
    fn rotate_pairs(&self, position: usize, head: &[f32], scale: f32, out: &mut [f32]) {
        const BLOCK: usize = 8;
        let half = head.len() / 2;
        let cos = &self.cos[position * half..][..half];
        let sin = &self.sin[position * half..][..half];
        let (low, high) = head.split_at(half);
        let (out_low, out_high) = out[..head.len()].split_at_mut(half);
        let whole = half / BLOCK * BLOCK;
        // Through arrays, for the compiler cannot know that `out` does not overlap the rest.
        for start in (0..whole).step_by(BLOCK) {
            let mut turned = [[0f32; BLOCK]; 2];
            for i in 0..BLOCK {
                let (x, y) = (low[start + i], high[start + i]);
                let (cos, sin) = (cos[start + i], sin[start + i]);
                turned[0][i] = (x * cos - y * sin) * scale;
                turned[1][i] = (y * cos + x * sin) * scale;
            }
            out_low[start..start + BLOCK].copy_from_slice(&turned[0]);
            out_high[start..start + BLOCK].copy_from_slice(&turned[1]);
        }
        for i in whole..half {
            out_low[i] = (low[i] * cos[i] - high[i] * sin[i]) * scale;
            out_high[i] = (high[i] * cos[i] + low[i] * sin[i]) * scale;
        }
    }
}

/// `attention_scaling` times the cosines and sines of the angles `position · inverse_frequencies[i]`, each
/// `[positions, frequencies]`, computed in f32 as transformers does.
pub fn cosines_sines(
    inverse_frequencies: &[f32],
    attention_scaling: f32,
    positions: impl Iterator<Item = usize>,
) -> (Vec<f32>, Vec<f32>) {
    positions
        .flat_map(|position| {
            inverse_frequencies.iter().map(move |frequency| position as f32 * frequency)
        })
        .map(f32::sin_cos)
        .map(|(sin, cos)| (cos * attention_scaling, sin * attention_scaling))
        .unzip()
}
