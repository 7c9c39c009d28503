//! The product of rows and matrices that stand side by side, as a candle operation.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor};

use super::format::Packed;
use super::rounded::{Rounded, Unit};
use super::{Matrix, PANEL, float32};
use crate::model::layers::Rows;

/// `out = x Wᵀ + bias`, or `out += …` with `add`, on the calling thread.
///
/// `x`: `[rows, inputs]`, `out`: `[rows, Σ outputs]`, the outputs of the `parts` side by side; both f32 with contiguous
/// rows that may lie apart. `bias`: contiguous f32 `[Σ outputs]`. `out` must not share its storage with `x` or `bias`:
/// candle would wait for itself.
///
/// # Errors
/// When the shapes, strides or dtypes are others.
pub fn product(
    out: &Tensor,
    x: &Tensor,
    parts: &[Matrix],
    bias: Option<&Tensor>,
    add: bool,
) -> Result<()> {
    let (x_storage, x_layout) = x.storage_and_layout();
    let x = Rows::new(cpu(&x_storage)?, x_layout)?;
    if let Some(part) = parts.iter().find(|part| part.inputs != x.width) {
        candle_core::bail!("rows of {} for a matrix of {} inputs", x.width, part.inputs);
    }
    let bias = bias.map(Tensor::storage_and_layout);
    let bias = match &bias {
        Some((storage, layout)) => Some(contiguous(cpu(storage)?, layout)?),
        None => None,
    };
    let guards: Vec<_> = parts.iter().map(|part| part.packed.storage_and_layout()).collect();
    let parts: Vec<Part> = guards
        .iter()
        .zip(parts)
        .map(|((storage, layout), part)| {
            Ok(Part { weights: Packed::new(storage, layout)?, outputs: part.outputs })
        })
        .collect::<Result<_>>()?;
    out.inplace_op1(&Product { x, parts: &parts, bias, add })
}

fn cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => candle_core::bail!("packed products run on the CPU"),
    }
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("expected a contiguous bias, got {layout:?}");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

struct Part<'a> {
    weights: Packed<'a>,
    outputs: usize,
}

struct Product<'a> {
    x: Rows<'a>,
    parts: &'a [Part<'a>],
    bias: Option<&'a [f32]>,
    add: bool,
}

impl InplaceOp1 for Product<'_> {
    fn name(&self) -> &'static str {
        "matrix-product"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let width = self.parts.iter().map(|part| part.outputs).sum::<usize>();
        let (rows, columns) = layout.shape().dims2()?;
        let &[stride, 1] = layout.stride() else {
            candle_core::bail!(
                "expected rows of contiguous values, got strides {:?}",
                layout.stride()
            );
        };
        if (rows, columns) != (self.x.count, width)
            || self.bias.is_some_and(|bias| bias.len() != width)
        {
            candle_core::bail!(
                "{layout:?} or the bias does not hold {} rows of {width}",
                self.x.count
            );
        }
        let CpuStorage::F32(values) = storage else {
            candle_core::bail!("expected f32 to write into");
        };
        if rows > 0 && width > 0 {
            self.run(&mut values[layout.start_offset()..], stride, width);
        }
        Ok(())
    }
}

impl Product<'_> {
    fn run(&self, out: &mut [f32], stride: usize, width: usize) {
        if let Some(bias) = self.bias {
            for row in out.chunks_mut(stride).take(self.x.count) {
                start_from(bias, &mut row[..width], self.add);
            }
        }
        let add = self.add || self.bias.is_some();
        let (mut first, mut rounded) = (0, None);
        for part in self.parts {
            let mut out = Columns { values: &mut out[first..], stride, width: part.outputs };
            match part.weights {
                Packed::F32(weights) => float32::product(self.x, weights, &mut out, add),
                Packed::Bf16(weights) => rounded
                    .get_or_insert_with(|| Rounded::new(self.x))
                    .product(Unit::best(), weights, &mut out, add),
            }
            first += part.outputs;
        }
    }
}

/// The row that the products are added to.
fn start_from(bias: &[f32], row: &mut [f32], add: bool) {
    if !add {
        return row.copy_from_slice(bias);
    }
    for (value, bias) in row.iter_mut().zip(bias) {
        *value += bias;
    }
}

/// A column range of the result: `width` values from each `r * stride` on.
pub struct Columns<'a> {
    pub values: &'a mut [f32],
    pub stride: usize,
    pub width: usize,
}

impl Columns<'_> {
    /// Columns `first..` of row `row`, at most [`PANEL`] of them.
    #[inline(always)]
    pub fn panel_row(&mut self, row: usize, first: usize) -> &mut [f32] {
        let width = PANEL.min(self.width - first);
        &mut self.values[row * self.stride + first..][..width]
    }
}
