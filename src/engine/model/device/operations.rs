//! Linear layers, norms and elementwise functions.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::ops::rms_norm;

use super::weights::Weights;
use crate::model::spec::{Activation, LinearSpec, NormKind, NormSpec};

impl Weights {
    /// `x Wᵀ + b`; `x`: `[rows, inputs]`, contiguous.
    pub fn linear(&self, spec: &LinearSpec, x: &Tensor) -> Result<Tensor> {
        let product = x.matmul(&self.matrix(&spec.weight)?.t()?)?;
        match &spec.bias {
            Some(bias) => product.broadcast_add(self.vector(bias)?),
            None => Ok(product),
        }
    }

    /// Over the last axis, which is as wide as the norm's weight; computed in float32.
    pub fn norm(&self, spec: &NormSpec, x: &Tensor) -> Result<Tensor> {
        let wide = x.to_dtype(DType::F32)?.contiguous()?;
        let weight = self.vector(&spec.weight)?;
        let normed = match spec.kind {
            NormKind::Rms => rms_norm(&wide, weight, spec.epsilon)?,
            NormKind::Layer => standardised(&wide, spec.epsilon)?.broadcast_mul(weight)?,
        };
        let shifted = match &spec.bias {
            Some(bias) => normed.broadcast_add(self.vector(bias)?)?,
            None => normed,
        };
        shifted.to_dtype(self.dtype)
    }
}

/// Mean 0 and variance 1. In two passes: candle's own takes the variance as a difference of large numbers.
fn standardised(x: &Tensor, epsilon: f32) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred.broadcast_div(&(variance + f64::from(epsilon))?.sqrt()?)
}

/// See [`Activation`]. The GELUs are computed in float32: candle's kernels round half precisions after every step.
pub(super) fn activate(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Silu => x.silu(),
        Activation::Gelu => x.to_dtype(DType::F32)?.gelu_erf()?.to_dtype(x.dtype()),
        Activation::GeluTanh => x.to_dtype(DType::F32)?.gelu()?.to_dtype(x.dtype()),
        Activation::Relu => x.relu(),
        Activation::Tanh => x.tanh(),
    }
}

/// `cap · tanh(x / cap)`.
pub(super) fn capped(x: Tensor, cap: Option<f32>) -> Result<Tensor> {
    match cap.map(f64::from) {
        Some(cap) => (x / cap)?.tanh()? * cap,
        None => Ok(x),
    }
}
