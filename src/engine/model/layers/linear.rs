//! Matrices over the same input.

use std::ops::Range;

use candle_core::{Result, Tensor};

use super::{Matrix, product};

/// `x Wᵀ + b` for matrices over the same input, with their outputs side by side.
#[derive(Clone)]
pub struct Linear {
    pub parts: Vec<Matrix>,
    /// `[Σ outputs]`, f32.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// `out = x Wᵀ + b`; `x`: `[rows, inputs]`, `out`: `[rows, Σ outputs]`, f32.
    pub fn forward_into(&self, out: &Tensor, x: &Tensor) -> Result<()> {
        product(out, x, &self.parts, self.bias.as_ref(), false)
    }

    /// `out += x Wᵀ + b`, same shapes.
    pub fn add_into(&self, out: &Tensor, x: &Tensor) -> Result<()> {
        product(out, x, &self.parts, self.bias.as_ref(), true)
    }

    /// Width of the result.
    pub fn outputs(&self) -> usize {
        self.parts.iter().map(Matrix::outputs).sum()
    }

    /// Some of the matrices, sharing their memory.
    pub fn only(&self, parts: Range<usize>) -> Result<Linear> {
        let width = |parts: &[Matrix]| parts.iter().map(Matrix::outputs).sum::<usize>();
        let (first, count) = (width(&self.parts[..parts.start]), width(&self.parts[parts.clone()]));
        let bias = self.bias.as_ref().map(|bias| bias.narrow(0, first, count)).transpose()?;
        Ok(Linear { parts: self.parts[parts].to_vec(), bias })
    }
}
