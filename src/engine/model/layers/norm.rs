//! Normalisation row by row: by the root mean square (Zhang and Sennrich 2019, equation 4), or by mean and standard
//! deviation (Ba, Kiros and Hinton 2016, equation 3).

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Result, Tensor};

use super::simd::{Kernel, dispatch, sum_of};
use super::{Rows, RowsMut, with_values};
use crate::model::spec::NormKind;

/// `(x - mean) / sqrt(variance + ε) · w + b`, or without mean and with the mean square as variance.
#[derive(Clone)]
pub struct Norm {
    pub kind: NormKind,
    /// `[width]`, f32.
    pub weight: Tensor,
    /// `[width]`, f32.
    pub bias: Option<Tensor>,
    /// ε.
    pub epsilon: f32,
}

impl Norm {
    /// `x` and `out`: `[rows, width]`, f32.
    pub fn forward_into(&self, out: &Tensor, x: &Tensor) -> Result<()> {
        out.inplace_op2(x, &Normalise(self))
    }

    /// `x`: `[rows, n · width]`, f32: every `width` elements are normalised on their own.
    pub fn in_place(&self, x: &Tensor) -> Result<()> {
        x.inplace_op1(&Normalise(self))
    }
}

struct Normalise<'a>(&'a Norm);

impl Normalise<'_> {
    fn run(&self, x: Option<Rows>, out: RowsMut) -> Result<()> {
        let norm = self.0;
        let run = |weight: &[f32], bias: Option<&[f32]>| {
            let (epsilon, centred) = (norm.epsilon, norm.kind == NormKind::Layer);
            dispatch(Loop { x, weight, bias, epsilon, centred, out });
            Ok(())
        };
        with_values(&norm.weight, |weight| match &norm.bias {
            Some(bias) => with_values(bias, |bias| run(weight, Some(bias))),
            None => run(weight, None),
        })
    }
}

impl InplaceOp2 for Normalise<'_> {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(
        &self,
        out: &mut CpuStorage,
        out_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> Result<()> {
        self.run(Some(Rows::new(x, x_layout)?), RowsMut::new(out, out_layout)?)
    }
}

impl InplaceOp1 for Normalise<'_> {
    fn name(&self) -> &'static str {
        "norm-in-place"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout) -> Result<()> {
        self.run(None, RowsMut::new(x, layout)?)
    }
}

struct Loop<'a> {
    /// `None`: what is in `out`.
    x: Option<Rows<'a>>,
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    epsilon: f32,
    centred: bool,
    out: RowsMut<'a>,
}

impl Kernel for Loop<'_> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        for index in 0..self.out.count {
            let out = self.out.row(index);
            if let Some(x) = self.x {
                out.copy_from_slice(x.row(index));
            }
            for out in out.chunks_exact_mut(self.weight.len()) {
                normalise(out, self.weight, self.bias, self.epsilon, self.centred);
            }
        }
    }
}

#[inline(always)]
fn normalise(x: &mut [f32], weight: &[f32], bias: Option<&[f32]>, epsilon: f32, centred: bool) {
    let length = x.len() as f32;
    if centred {
        let mean = sum_of(x, |x| x) / length;
        x.iter_mut().for_each(|x| *x -= mean);
    }
    let scale = 1.0 / (sum_of(x, |x| x * x) / length + epsilon).sqrt();
    for (x, w) in x.iter_mut().zip(weight) {
        *x = *x * scale * w;
    }
    for (x, b) in x.iter_mut().zip(bias.unwrap_or_default()) {
        *x += b;
    }
}
