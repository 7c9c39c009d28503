//! The parts of a decoder layer that are not matrix products, as candle operations on the CPU in float32.
//!
//! Each runs on the calling thread: candidates are what runs in parallel, and candle's own versions would start rayon
//! tasks inside a rayon worker. The loops are plain Rust; [`simd`] compiles them for the machine's vector instructions.

mod attention;
mod log_likelihood;
mod rms_norm;
mod rotary;
mod simd;
mod swiglu;

use candle_core::{CpuStorage, Layout, Result};

pub use attention::TreeAttention;
pub use log_likelihood::log_likelihoods;
pub use rms_norm::RmsNorm;
pub use rotary::Rotary;
pub use swiglu::SwiGlu;

/// A float32 matrix whose rows are contiguous but may lie apart, as a column range of a wider one does.
#[derive(Clone, Copy)]
struct Rows<'a> {
    values: &'a [f32],
    stride: usize,
    width: usize,
    count: usize,
}

impl<'a> Rows<'a> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let (count, width) = layout.shape().dims2()?;
        let [stride, 1] = *layout.stride() else {
            candle_core::bail!(
                "expected rows of contiguous values, got strides {:?}",
                layout.stride()
            );
        };
        Ok(Rows {
            values: &storage.as_slice::<f32>()?[layout.start_offset()..],
            stride,
            width,
            count,
        })
    }

    #[inline(always)]
    fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.stride..][..self.width]
    }
}
