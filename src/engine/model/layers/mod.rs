//! The parts of a decoder layer as candle operations on the CPU in float32, writing into tensors that are reused.
//!
//! Each runs on the calling thread: candidates are what runs in parallel, and candle's own versions would start rayon
//! tasks inside a rayon worker. The loops are plain Rust; [`simd`] compiles them for the machine's vector instructions.

mod activation;
mod add;
mod attention;
mod likeliest;
mod linear;
mod log_likelihood;
mod matrix;
mod norm;
mod rotary;
mod scratch;
mod simd;

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor};

pub use activation::{apply, tanh};
pub use add::Add;
pub use attention::{
    Attention, Cache, HeadShape, Positions, RelativeBias, Sight, bucket, extend_cache, temporaries,
};
pub use likeliest::likeliest;
pub use linear::Linear;
pub use log_likelihood::log_likelihoods;
pub use matrix::{Matrix, Precision, product};
use matrix::{PANEL, panel_product};
pub use norm::Norm;
pub use rotary::{Rotary, cosines_sines};
pub use scratch::Buffer;

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
            // A part of no rows may begin behind its storage.
            values: storage.as_slice::<f32>()?.get(layout.start_offset()..).unwrap_or_default(),
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

/// The same, to be overwritten.
struct RowsMut<'a> {
    values: &'a mut [f32],
    stride: usize,
    width: usize,
    count: usize,
}

impl<'a> RowsMut<'a> {
    fn new(storage: &'a mut CpuStorage, layout: &Layout) -> Result<Self> {
        let (count, width) = layout.shape().dims2()?;
        let (CpuStorage::F32(values), [stride, 1]) = (storage, layout.stride()) else {
            candle_core::bail!("expected rows of contiguous f32 values, got {layout:?}");
        };
        Ok(RowsMut { values: &mut values[layout.start_offset()..], stride: *stride, width, count })
    }

    #[inline(always)]
    fn row(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.stride..][..self.width]
    }
}

/// Lets a function read a float32 vector.
fn with_values<R>(vector: &Tensor, read: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = vector.storage_and_layout();
    let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets())
    else {
        candle_core::bail!("expected a contiguous vector on the CPU, got {layout:?}");
    };
    read(&storage.as_slice::<f32>()?[start..end])
}

/// The values of a contiguous float32 tensor, to be overwritten.
pub fn contiguous_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
    else {
        candle_core::bail!("expected a contiguous f32 tensor, got {layout:?}");
    };
    Ok(&mut values[start..end])
}
