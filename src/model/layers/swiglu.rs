//! The gate of Llama's MLP: SwiGLU (Shazeer 2020, equation 6) with β = 1.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result};

use super::simd::{Kernel, dispatch, exp};
use super::{Rows, contiguous_mut};

/// Reads gate and up side by side, `[rows, 2 · intermediate]`, and writes `silu(gate) · up`, `[rows, intermediate]`, f32.
pub struct SwiGlu;

impl InplaceOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(
        &self,
        out: &mut CpuStorage,
        out_layout: &Layout,
        gate_up: &CpuStorage,
        layout: &Layout,
    ) -> Result<()> {
        let gate_up = Rows::new(gate_up, layout)?;
        let out = contiguous_mut(out, out_layout)?;
        dispatch(Loop { gate_up, out });
        Ok(())
    }
}

struct Loop<'a> {
    gate_up: Rows<'a>,
    out: &'a mut [f32],
}

impl Kernel for Loop<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let width = self.gate_up.width / 2;
        for (index, out) in self.out.chunks_exact_mut(width).enumerate() {
            let (gate, up) = self.gate_up.row(index).split_at(width);
            for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
                *out = gate / (1.0 + exp(-gate)) * up;
            }
        }
    }
}
