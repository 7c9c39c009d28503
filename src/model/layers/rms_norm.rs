//! Root-mean-square normalisation (Zhang and Sennrich 2019, equation 4).

use candle_core::{CpuStorage, InplaceOp3, Layout, Result, Tensor};

use super::simd::{Kernel, dispatch, sum_of};
use super::{Rows, contiguous_mut};

/// `x / sqrt(mean(x²) + ε) · w`, row by row.
pub struct RmsNorm {
    /// `[hidden]`, f32.
    pub weight: Tensor,
    /// ε.
    pub epsilon: f32,
}

impl RmsNorm {
    /// `x` and `out`: `[rows, hidden]`, f32.
    pub fn forward_into(&self, out: &Tensor, x: &Tensor) -> Result<()> {
        let op = Normalise {
            epsilon: self.epsilon,
        };
        out.inplace_op3(x, &self.weight, &op)
    }
}

struct Normalise {
    epsilon: f32,
}

impl InplaceOp3 for Normalise {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        out: &mut CpuStorage,
        out_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<()> {
        let x = Rows::new(x, x_layout)?;
        let weight = &w.as_slice::<f32>()?[w_layout.start_offset()..][..x.width];
        let out = contiguous_mut(out, out_layout)?;
        dispatch(Loop {
            x,
            weight,
            epsilon: self.epsilon,
            out,
        });
        Ok(())
    }
}

struct Loop<'a> {
    x: Rows<'a>,
    weight: &'a [f32],
    epsilon: f32,
    out: &'a mut [f32],
}

impl Kernel for Loop<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (index, out) in self.out.chunks_exact_mut(self.x.width).enumerate() {
            let row = self.x.row(index);
            let scale = 1.0 / (sum_of(row, |x| x * x) / row.len() as f32 + self.epsilon).sqrt();
            for ((out, x), w) in out.iter_mut().zip(row).zip(self.weight) {
                *out = x * scale * w;
            }
        }
    }
}
