//! The parts of a decoder layer as candle operations on the CPU in float32, writing into tensors that are reused.
//!
//! Each runs on the calling thread: candidates are what runs in parallel, and candle's own versions would start rayon
//! tasks inside a rayon worker. The loops are plain Rust; [`simd`] compiles them for the machine's vector instructions.

mod attention;
mod linear;
mod log_likelihood;
mod matrix;
mod rms_norm;
mod rotary;
mod scratch;
mod simd;
mod swiglu;

use candle_core::{CpuStorage, Layout, Result};

pub use attention::{
    Attention, Cache, HeadShape, Positions, RelativeBias, Sight, extend_cache, temporaries,
};
pub use linear::Linear;
pub use log_likelihood::log_likelihoods;
pub use matrix::{PANEL, panel_product};
pub use rms_norm::RmsNorm;
pub use rotary::Rotary;
pub use scratch::Buffer;
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

/// The values of a contiguous float32 tensor, to be overwritten.
pub fn contiguous_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
    else {
        candle_core::bail!("expected a contiguous f32 tensor, got {layout:?}");
    };
    Ok(&mut values[start..end])
}
