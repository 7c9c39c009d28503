//! From stored elements to `f32`, a stretch at a time.

use std::borrow::Cow;

use candle_core::quantized::GgmlDType;
use candle_core::{CpuStorage, bail};
use half::{bf16, f16};

/// Elements that are dequantized at once: whole blocks of every kind, and little beside the tensor itself.
const STRETCH: usize = 1 << 16;
/// More than any block of candle's is aligned to.
const ALIGNMENT: usize = 16;

/// Turns `bytes`, the whole blocks of `out.len()` elements, into floats.
pub(super) fn dequantize(
    kind: GgmlDType,
    bytes: &[u8],
    out: &mut [f32],
) -> Result<(), candle_core::Error> {
    match kind {
        GgmlDType::F32 => read_each(bytes, out, f32::from_le_bytes),
        GgmlDType::F16 => read_each(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
        GgmlDType::BF16 => read_each(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
        _ => {
            let stretch = STRETCH / kind.block_size() * kind.type_size();
            for (bytes, out) in bytes.chunks(stretch).zip(out.chunks_mut(STRETCH)) {
                dequantize_blocks(kind, bytes, out)?;
            }
        }
    }
    Ok(())
}

fn read_each<const N: usize>(bytes: &[u8], out: &mut [f32], read: impl Fn([u8; N]) -> f32) {
    for (element, bytes) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *element = read(*bytes);
    }
}

fn dequantize_blocks(
    kind: GgmlDType,
    bytes: &[u8],
    out: &mut [f32],
) -> Result<(), candle_core::Error> {
    // candle panics on blocks that are not aligned, and a file may put them anywhere.
    let mut buffer = vec![0u8; bytes.len() + ALIGNMENT];
    let start = buffer.as_ptr().align_offset(ALIGNMENT);
    let Some(aligned) = buffer.get_mut(start..start + bytes.len()) else {
        bail!("no aligned memory for {} bytes", bytes.len());
    };
    aligned.copy_from_slice(bytes);
    match kind.from_data(Cow::Borrowed(aligned)).dequantize(out.len())? {
        CpuStorage::F32(values) => out.copy_from_slice(&values),
        _ => bail!("{kind:?} was not dequantized to f32"),
    }
    Ok(())
}
