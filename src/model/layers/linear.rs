//! Matrix products into memory that is already there.
//!
//! `Tensor::matmul` calls the same kernels, but zeroes a fresh tensor for each product, reads the thread count from the
//! environment and may split the work over rayon's pool. For small models that costs as much as the product itself.

use candle_core::{CpuStorage, InplaceOp3, Layout, Result, Tensor};
use gemm::Parallelism;

use super::{Rows, contiguous_mut};

/// A weight matrix `[out, in]`, f32, as checkpoints store it.
pub struct Linear(pub Tensor);

impl Linear {
    /// `out = x Wᵀ`; `x`: `[rows, in]`, `out`: `[rows, out]`, f32.
    pub fn forward_into(&self, out: &Tensor, x: &Tensor) -> Result<()> {
        out.inplace_op3(x, &self.0, &Product { add: false })
    }

    /// `out += x Wᵀ`, same shapes.
    pub fn add_into(&self, out: &Tensor, x: &Tensor) -> Result<()> {
        out.inplace_op3(x, &self.0, &Product { add: true })
    }

    /// The rows `first..first + count` of the matrix, sharing its memory.
    pub fn outputs(&self, first: usize, count: usize) -> Result<Linear> {
        Ok(Linear(self.0.narrow(0, first, count)?))
    }
}

struct Product {
    add: bool,
}

impl InplaceOp3 for Product {
    fn name(&self) -> &'static str {
        "linear"
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
        let (x, w) = (Rows::new(x, x_layout)?, Rows::new(w, w_layout)?);
        if x.width != w.width || out_layout.shape().dims2()? != (x.count, w.count) {
            candle_core::bail!(
                "{:?} does not hold {:?} times {:?}",
                out_layout,
                x_layout,
                w_layout
            );
        }
        product(contiguous_mut(out, out_layout)?, x, w, self.add);
        Ok(())
    }
}

/// `out`: `[x.count, w.count]`.
fn product(out: &mut [f32], x: Rows, w: Rows, add: bool) {
    // SAFETY: `Rows` and the caller's shape check make every address that the strides reach lie within its slice.
    unsafe {
        gemm::gemm(
            x.count,
            w.count,
            x.width,
            out.as_mut_ptr(),
            1,
            w.count as isize,
            add,
            x.values.as_ptr(),
            1,
            x.stride as isize,
            w.values.as_ptr(),
            w.stride as isize,
            1,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
