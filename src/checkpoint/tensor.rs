use std::borrow::Cow;
use std::ops::Range;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::vec::HalfFloatVecExt;
use half::{bf16, f16};

/// The stored types that can be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dtype {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// The upper half of a single.
    BF16,
}

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

impl Dtype {
    /// All of them.
    pub const ALL: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::BF16];

    /// The word in a safetensors header.
    pub fn as_str(self) -> &'static str {
        match self {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::BF16 => "BF16",
        }
    }

    /// The word in `config.json`.
    pub fn torch_name(self) -> &'static str {
        match self {
            Dtype::F32 => "float32",
            Dtype::F16 => "float16",
            Dtype::BF16 => "bfloat16",
        }
    }

    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
        }
    }

    pub(super) fn from_stored(dtype: safetensors::Dtype) -> Option<Dtype> {
        match dtype {
            safetensors::Dtype::F32 => Some(Dtype::F32),
            safetensors::Dtype::F16 => Some(Dtype::F16),
            safetensors::Dtype::BF16 => Some(Dtype::BF16),
            _ => None,
        }
    }

    /// Little-endian elements as `f32`.
    pub(super) fn to_f32(self, bytes: &[u8]) -> Cow<'_, [f32]> {
        match self {
            Dtype::F32 => singles(bytes),
            Dtype::F16 => Cow::Owned(bits(bytes).reinterpret_cast::<f16>().to_f32_vec()),
            Dtype::BF16 => Cow::Owned(bits(bytes).reinterpret_cast::<bf16>().to_f32_vec()),
        }
    }

    /// Elements rounded to this type, to the nearest and ties to even, little-endian.
    pub(super) fn to_bytes(self, elements: &[f32]) -> Vec<u8> {
        match self {
            Dtype::F32 => elements.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Dtype::F16 => little_endian(Vec::<f16>::from_f32_slice(elements).reinterpret_cast()),
            Dtype::BF16 => little_endian(Vec::<bf16>::from_f32_slice(elements).reinterpret_cast()),
        }
    }
}

fn singles(bytes: &[u8]) -> Cow<'_, [f32]> {
    // SAFETY: every bit pattern is an f32; align_to gives only the aligned middle.
    let (before, singles, after) = unsafe { bytes.align_to::<f32>() };
    if cfg!(target_endian = "little") && before.is_empty() && after.is_empty() {
        return Cow::Borrowed(singles);
    }
    let single = |quad: &[u8]| f32::from_le_bytes([quad[0], quad[1], quad[2], quad[3]]);
    Cow::Owned(bytes.chunks_exact(4).map(single).collect())
}

fn bits(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn little_endian(bits: &[u16]) -> Vec<u8> {
    bits.iter().flat_map(|x| x.to_le_bytes()).collect()
}
