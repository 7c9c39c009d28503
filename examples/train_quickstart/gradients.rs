//! The fused operations against candle's own elementwise operations and their derivatives.

use std::sync::Arc;

use candle_core::{D, Device, Result, Tensor, Var};

use crate::attention::{Attention, Places};
use crate::fused::{LogSoftmax, RmsNorm, SwiGlu};

const TOLERANCE: f32 = 2e-5;

/// Fixed values in about −1 to 1.
fn var(shape: &[usize], phase: f32) -> Result<Var> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.7 + phase).sin()).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Equal values, and equal derivatives of an uneven sum of them.
fn assert_equal(fused: &Tensor, composed: &Tensor, vars: &[&Var]) -> Result<()> {
    assert_close(fused, composed)?;
    let weights = var(fused.dims(), 0.3)?;
    let gradients = |out: &Tensor| (out * weights.as_tensor())?.sum_all()?.backward();
    let (fused, composed) = (gradients(fused)?, gradients(composed)?);
    for var in vars {
        let (Some(fused), Some(composed)) = (fused.get(var), composed.get(var)) else {
            candle_core::bail!("a variable has no gradient");
        };
        assert_close(fused, composed)?;
    }
    Ok(())
}

fn assert_close(a: &Tensor, b: &Tensor) -> Result<()> {
    let worst = (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
    assert!(worst < TOLERANCE, "differs by {worst}");
    Ok(())
}

#[test]
fn rms_norm_is_the_composed_one() -> Result<()> {
    let (x, weight) = (var(&[3, 5, 8], 0.0)?, var(&[8], 1.0)?);
    let rms = (x.sqr()?.mean_keepdim(D::Minus1)? + 1e-5)?.sqrt()?;
    let composed = x.broadcast_div(&rms)?.broadcast_mul(&weight)?;
    assert_equal(&x.apply_op2(&weight, RmsNorm { eps: 1e-5 })?, &composed, &[&x, &weight])
}

#[test]
fn swiglu_is_the_composed_one() -> Result<()> {
    let (gate, up) = (var(&[4, 6], 0.0)?, var(&[4, 6], 1.0)?);
    let composed = (gate.silu()? * up.as_tensor())?;
    assert_equal(&gate.apply_op2(&up, SwiGlu)?, &composed, &[&gate, &up])
}

#[test]
fn log_softmax_is_the_composed_one() -> Result<()> {
    let logits = var(&[4, 7], 0.0)?;
    let composed = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
    assert_equal(&logits.apply_op1(LogSoftmax)?, &composed, &[&logits])
}

#[test]
fn attention_is_the_composed_one() -> Result<()> {
    let (batch, time, heads, dim) = (2, 5, 3, 4);
    let shape = [batch, time, heads * dim];
    let (q, k, v) = (var(&shape, 0.0)?, var(&shape, 1.0)?, var(&shape, 2.0)?);
    let positions: Vec<u32> = (0..time as u32).collect();
    // Key 1 is hidden from the last query.
    let visible = |_: usize, query: usize, key: usize| (query, key) != (4, 1);
    let places = Arc::new(Places::new(1, &positions, dim, 10_000.0, visible));
    let composed = composed_attention(&q, &k, &v, &places, (heads, dim))?;
    let fused = q.apply_op3(&k, &v, Attention { places, heads, head_dim: dim })?;
    assert_equal(&fused, &composed, &[&q, &k, &v])
}

fn composed_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    places: &Places,
    (heads, dim): (usize, usize),
) -> Result<Tensor> {
    let (batch, time, hidden) = q.dims3()?;
    let table = |values: &[f32]| {
        let half = Tensor::from_slice(values, (time, dim / 2), &Device::Cpu)?;
        Tensor::cat(&[&half, &half], D::Minus1)
    };
    let (cos, sin) = (table(&places.cos)?, table(&places.sin)?);
    let split = |x: &Tensor| x.reshape((batch, time, heads, dim))?.transpose(1, 2)?.contiguous();
    let rotate = |x: &Tensor| {
        let x = split(x)?;
        let (first, second) =
            (x.narrow(D::Minus1, 0, dim / 2)?, x.narrow(D::Minus1, dim / 2, dim / 2)?);
        let turned = Tensor::cat(&[&second.neg()?, &first], D::Minus1)?;
        x.broadcast_mul(&cos)? + turned.broadcast_mul(&sin)?
    };
    let mask: Vec<f32> =
        places.visible.iter().map(|&visible| if visible { 0.0 } else { -1e9 }).collect();
    let mask = Tensor::from_vec(mask, (time, time), &Device::Cpu)?;
    let scores = (rotate(q)?.matmul(&rotate(k)?.t()?)? / (dim as f64).sqrt())?;
    let weights = candle_nn::ops::softmax(&scores.broadcast_add(&mask)?, D::Minus1)?;
    weights.matmul(&split(v)?)?.transpose(1, 2)?.reshape((batch, time, hidden))
}
