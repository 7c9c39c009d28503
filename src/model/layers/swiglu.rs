//! The gate of Llama's MLP: SwiGLU (Shazeer 2020, equation 6) with β = 1.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape};

use super::Rows;
use super::simd::{Kernel, dispatch, exp};

/// `[rows, 2 · intermediate]` (gate and up side by side) to `silu(gate) · up`, `[rows, intermediate]`, f32.
pub struct SwiGlu;

impl CustomOp1 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let gate_up = Rows::new(storage, layout)?;
        let mut out = vec![0f32; gate_up.count * gate_up.width / 2];
        dispatch(Loop {
            gate_up,
            out: &mut out,
        });
        Ok((
            CpuStorage::F32(out),
            (gate_up.count, gate_up.width / 2).into(),
        ))
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
