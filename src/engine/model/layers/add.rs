//! Addition in place.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result};

use super::{Rows, RowsMut};

/// `out += x`, both `[rows, width]`, f32.
pub struct Add;

impl InplaceOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(
        &self,
        out: &mut CpuStorage,
        out_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> Result<()> {
        let (x, mut out) = (Rows::new(x, x_layout)?, RowsMut::new(out, out_layout)?);
        if (x.count, x.width) != (out.count, out.width) {
            candle_core::bail!("{x_layout:?} cannot be added to {out_layout:?}");
        }
        for index in 0..x.count {
            out.row(index).iter_mut().zip(x.row(index)).for_each(|(out, x)| *out += x);
        }
        Ok(())
    }
}
