//! Elementwise functions of the MLPs, alone and as gates (Shazeer 2020).

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Result, Tensor};

use super::simd::{Kernel, dispatch, exp};
use super::{Rows, RowsMut};
use crate::model::spec::Activation;

impl Activation {
    /// `x`: `[rows, width]`, f32.
    pub fn in_place(self, x: &Tensor) -> Result<()> {
        match self {
            Activation::Silu => apply(x, silu),
            Activation::Gelu => apply(x, gelu),
            Activation::GeluTanh => apply(x, gelu_tanh),
            Activation::Relu => apply(x, relu),
            Activation::Tanh => apply(x, tanh),
        }
    }

    /// `out = f(gate) · up`; `gate_up`: `[rows, 2 · width]` with the gate first, `out`: `[rows, width]`, f32.
    pub fn gate_into(self, out: &Tensor, gate_up: &Tensor) -> Result<()> {
        out.inplace_op2(gate_up, &Apply(self))
    }
}

/// `x = f(x)`; `x`: `[rows, width]`, f32. `f` must be `#[inline(always)]` or a `move` closure.
pub fn apply(x: &Tensor, f: impl Fn(f32) -> f32 + Copy) -> Result<()> {
    x.inplace_op1(&Function(f))
}

struct Function<F>(F);

impl<F: Fn(f32) -> f32 + Copy> InplaceOp1 for Function<F> {
    fn name(&self) -> &'static str {
        "function"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> Result<()> {
        dispatch(Alone { x: RowsMut::new(x, layout)?, f: self.0 });
        Ok(())
    }
}

struct Apply(Activation);

impl InplaceOp2 for Apply {
    fn name(&self) -> &'static str {
        "gated-activation"
    }

    fn cpu_fwd(
        &self,
        out: &mut CpuStorage,
        out_layout: &Layout,
        gate_up: &CpuStorage,
        layout: &Layout,
    ) -> Result<()> {
        let gate_up = Rows::new(gate_up, layout)?;
        let out = RowsMut::new(out, out_layout)?;
        if gate_up.width != 2 * out.width || gate_up.count != out.count {
            candle_core::bail!("{layout:?} is not gate and up for {out_layout:?}");
        }
        match self.0 {
            Activation::Silu => dispatch(Gate { gate_up, out, f: silu }),
            Activation::Gelu => dispatch(Gate { gate_up, out, f: gelu }),
            Activation::GeluTanh => dispatch(Gate { gate_up, out, f: gelu_tanh }),
            Activation::Relu => dispatch(Gate { gate_up, out, f: relu }),
            Activation::Tanh => dispatch(Gate { gate_up, out, f: tanh }),
        }
        Ok(())
    }
}

struct Alone<'a, F> {
    x: RowsMut<'a>,
    f: F,
}

impl<F: Fn(f32) -> f32> Kernel for Alone<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        for index in 0..self.x.count {
            for x in self.x.row(index) {
                *x = (self.f)(*x);
            }
        }
    }
}

struct Gate<'a, F> {
    gate_up: Rows<'a>,
    out: RowsMut<'a>,
    f: F,
}

impl<F: Fn(f32) -> f32> Kernel for Gate<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        let width = self.out.width;
        for index in 0..self.out.count {
            let (gate, up) = self.gate_up.row(index).split_at(width);
            for ((out, gate), up) in self.out.row(index).iter_mut().zip(gate).zip(up) {
                *out = (self.f)(*gate) * up;
            }
        }
    }
}

#[inline(always)]
fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// `1 - 2 / (e^2x + 1)`.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x)))
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Within 2e-7 (Abramowitz and Stegun 1964, 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let p = 1.061_405_4;
    let p = p * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    let magnitude = 1.0 - p * t * exp(-x * x);
    magnitude.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of erf, tanh and both GELUs from tables (Abramowitz and Stegun 1964, tables 7.1 and 4.15) and by hand.
    #[test]
    fn functions_agree_with_printed_tables() {
        let erf_table = [
            (0.0, 0.0),
            (0.1, 0.112_462_92),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (2.0, 0.995_322_3),
        ];
        for (x, value) in erf_table {
            assert!((erf(x) - value).abs() < 3e-7, "erf({x})");
            assert!((erf(-x) + value).abs() < 3e-7, "erf(-{x})");
        }
        for (x, value) in
            [(0.0, 0.0), (0.5, 0.462_117_16), (1.0, 0.761_594_2), (-2.0, -0.964_027_6)]
        {
            assert!((tanh(x) - value).abs() < 2e-7, "tanh({x})");
        }
        assert!((gelu(1.0) - 0.841_344_8).abs() < 3e-7);
        assert!((gelu_tanh(1.0) - 0.841_192).abs() < 1e-6);
        assert_eq!([silu(0.0), relu(-3.0), relu(3.0)], [0.0, 0.0, 3.0]);
        assert!((silu(1.0) - 0.731_058_6).abs() < 1e-6);
    }

    #[test]
    fn nothing_that_is_not_a_number_turns_into_one() {
        for f in [silu, gelu, gelu_tanh, relu, tanh] {
            assert!(f(f32::NAN).is_nan());
        }
    }
}
