//! Stored elements to `f32` and back.

use std::ops::Range;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::simd::vectorize;
use crate::units::Dtype;

/// A tensor's shape and stored type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorShape {
    /// Length of each axis; none for a scalar.
    pub shape: Vec<usize>,
    /// Stored type.
    pub dtype: Dtype,
}

/// Where a tensor lies.
#[derive(Debug)]
pub(super) struct StoredTensor {
    pub(super) shape: TensorShape,
    pub(super) file: usize,
    /// In the whole file, header included; checked against its length.
    pub(super) bytes: Range<usize>,
}

impl TensorShape {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

pub(super) fn dtype_of(stored: safetensors::Dtype) -> Option<Dtype> {
    match stored {
        safetensors::Dtype::F32 => Some(Dtype::F32),
        safetensors::Dtype::F16 => Some(Dtype::F16),
        safetensors::Dtype::BF16 => Some(Dtype::BF16),
        _ => None,
    }
}

/// Little-endian elements as `f32`; as many as `out` has, `bytes` at least that many.
pub(super) fn decode(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        Dtype::F32 => vectorize(move || {
            for (x, quad) in out.iter_mut().zip(bytes.as_chunks().0) {
                *x = f32::from_le_bytes(*quad);
            }
        }),
        Dtype::BF16 => vectorize(move || {
            for (x, pair) in out.iter_mut().zip(bytes.as_chunks().0) {
                *x = f32::from_bits(u32::from(u16::from_le_bytes(*pair)) << 16);
            }
        }),
        Dtype::F16 => decode_halves(bytes, out),
    }
}

/// Elements that go through an aligned buffer at a time.
const PART: usize = 1024;

fn decode_halves(bytes: &[u8], out: &mut [f32]) {
    let mut halves = [f16::ZERO; PART];
    for (out, bytes) in out.chunks_mut(PART).zip(bytes.chunks(2 * PART)) {
        for (half, pair) in halves.iter_mut().zip(bytes.as_chunks().0) {
            *half = f16::from_le_bytes(*pair);
        }
        halves[..out.len()].convert_to_f32_slice(out);
    }
}

/// The elements themselves where they are stored as aligned `f32`.
pub(super) fn borrowed(dtype: Dtype, bytes: &[u8]) -> Option<&[f32]> {
    if dtype != Dtype::F32 || cfg!(target_endian = "big") {
        return None;
    }
    // SAFETY: every bit pattern is an f32; align_to gives only the aligned middle.
    let (before, singles, after) = unsafe { bytes.align_to::<f32>() };
    (before.is_empty() && after.is_empty()).then_some(singles)
}

/// Elements rounded to a type, to the nearest and ties to even, little-endian, put behind `bytes`.
pub(super) fn encode(dtype: Dtype, elements: &[f32], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + elements.len() * dtype.size(), 0);
    let out = &mut bytes[start..];
    match dtype {
        Dtype::F32 => vectorize(move || {
            for (quad, x) in out.as_chunks_mut().0.iter_mut().zip(elements) {
                *quad = x.to_le_bytes();
            }
        }),
        Dtype::BF16 => vectorize(move || {
            for (pair, x) in out.as_chunks_mut().0.iter_mut().zip(elements) {
                *pair = rounded(*x).to_le_bytes();
            }
        }),
        Dtype::F16 => encode_halves(elements, out),
    }
}

/// Bits of the nearest bfloat16. Adding 0x7fff, and one more where the last kept bit is set, carries into the kept bits
/// exactly when rounding is up; a NaN stays one by its quiet bit.
#[inline(always)]
fn rounded(x: f32) -> u16 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let quiet = bits >> 16 | 0x0040;
    (if x.is_nan() { quiet } else { nearest }) as u16
}

fn encode_halves(elements: &[f32], out: &mut [u8]) {
    let mut halves = [f16::ZERO; PART];
    for (elements, out) in elements.chunks(PART).zip(out.chunks_mut(2 * PART)) {
        let halves = &mut halves[..elements.len()];
        halves.convert_from_f32_slice(elements);
        for (pair, half) in out.as_chunks_mut().0.iter_mut().zip(&*halves) {
            *pair = half.to_le_bytes();
        }
    }
}

/// Elements as a type would hold them.
pub fn round_to(dtype: Dtype, elements: &mut [f32]) {
    match dtype {
        Dtype::F32 => {}
        Dtype::BF16 => elements.iter_mut().for_each(|x| *x = bf16::from_f32(*x).to_f32()),
        Dtype::F16 => elements.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32()),
    }
}
