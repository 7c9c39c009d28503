//! Root-mean-square normalisation (Zhang and Sennrich 2019, equation 4).

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::Rows;
use super::simd::{Kernel, dispatch, sum_of};

/// `x / sqrt(mean(x²) + ε) · w`, row by row.
pub struct RmsNorm {
    /// `[hidden]`, f32.
    pub weight: Tensor,
    /// ε.
    pub epsilon: f32,
}

impl RmsNorm {
    /// `x`: `[rows, hidden]`, f32, to the same shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op2_no_bwd(
            &self.weight,
            &Normalise {
                epsilon: self.epsilon,
            },
        )
    }
}

struct Normalise {
    epsilon: f32,
}

impl CustomOp2 for Normalise {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = Rows::new(x, x_layout)?;
        let weight = &w.as_slice::<f32>()?[w_layout.start_offset()..][..x.width];
        let mut out = vec![0f32; x.count * x.width];
        dispatch(Loop {
            x,
            weight,
            epsilon: self.epsilon,
            out: &mut out,
        });
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
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
