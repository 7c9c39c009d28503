//! Writing and reading the packed form.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor};
use half::bf16;

use super::{ALIGNMENT, Matrix, PANEL, panel_length};
use crate::simd::{Kernel, dispatch};

/// Inputs packed together: a cache line of an output's values. Half of a [`super::STEP`].
const RUN: usize = 16;

impl Matrix {
    /// Packs `values`, row-major `[outputs, inputs]`, rounding to nearest even in bf16.
    ///
    /// # Errors
    /// When `values` has another length.
    pub fn write(&self, values: &[f32]) -> Result<()> {
        if values.len() != self.outputs * self.inputs {
            candle_core::bail!(
                "{} values for a matrix [{}, {}]",
                values.len(),
                self.outputs,
                self.inputs
            );
        }
        self.write_from(values, |output| output * self.inputs, 1)
    }

    /// The same from another storage: input `i` of output `o` is `values[at(o) + i * stride]`.
    ///
    /// # Errors
    /// When that lies outside `values`.
    pub fn write_from(
        &self,
        values: &[f32],
        at: impl Fn(usize) -> usize,
        stride: usize,
    ) -> Result<()> {
        if stride == 0 {
            candle_core::bail!("inputs must lie apart");
        }
        let starts: Vec<usize> = (0..self.outputs).map(at).collect();
        let reach = (self.inputs - 1) * stride + 1;
        if let Some(start) = starts.iter().find(|&start| start + reach > values.len()) {
            candle_core::bail!(
                "an output of {reach} values from {start} on, of {} values",
                values.len()
            );
        }
        self.packed.inplace_op1(&Write { matrix: self, values, starts: &starts, stride })
    }

    /// The rows `outputs` of the unpacked matrix, one after the other into `out`: `[outputs.len(), inputs]`.
    ///
    /// # Errors
    /// When the matrix has no such output or `out` has another length.
    pub fn gather(&self, outputs: &[u32], out: &mut [f32]) -> Result<()> {
        if out.len() != outputs.len() * self.inputs {
            candle_core::bail!(
                "{} values to hold {} rows of {}",
                out.len(),
                outputs.len(),
                self.inputs
            );
        }
        if let Some(output) = outputs.iter().find(|&&output| output as usize >= self.outputs) {
            candle_core::bail!("no row {output} in a matrix of {}", self.outputs);
        }
        let (storage, layout) = self.packed.storage_and_layout();
        let packed = Packed::new(&storage, layout)?;
        let panel = panel_length(self.inputs, self.precision);
        for (&output, row) in outputs.iter().zip(out.chunks_exact_mut(self.inputs)) {
            let (first, column) = (output as usize / PANEL * panel, output as usize % PANEL);
            for (k, value) in row.iter_mut().enumerate() {
                *value = match packed {
                    Packed::F32(weights) => weights[first + position_f32(k, column)],
                    Packed::Bf16(weights) => weights[first + position_bf16(k, column)].to_f32(),
                };
            }
        }
        Ok(())
    }
}

/// The values of a packed matrix.
#[derive(Clone, Copy)]
pub enum Packed<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

impl<'a> Packed<'a> {
    pub fn new(storage: &'a Storage, layout: &Layout) -> Result<Self> {
        let values = layout.start_offset()..layout.start_offset() + layout.shape().elem_count();
        match storage {
            Storage::Cpu(CpuStorage::F32(packed)) => Ok(Packed::F32(&packed[values])),
            Storage::Cpu(CpuStorage::BF16(packed)) => Ok(Packed::Bf16(&packed[values])),
            _ => candle_core::bail!("packed weights are f32 or bf16 on the CPU"),
        }
    }
}

/// The first element of `memory` at a multiple of [`ALIGNMENT`].
pub fn aligned_start(memory: &Tensor) -> Result<usize> {
    let (storage, layout) = memory.storage_and_layout();
    Ok(match Packed::new(&storage, layout)? {
        Packed::F32(values) => values.as_ptr().align_offset(ALIGNMENT),
        Packed::Bf16(values) => values.as_ptr().align_offset(ALIGNMENT),
    })
}

#[inline(always)]
fn position_f32(k: usize, column: usize) -> usize {
    k * PANEL + column
}

#[inline(always)]
fn position_bf16(k: usize, column: usize) -> usize {
    (k / 2 * PANEL + column) * 2 + k % 2
}

/// `value` to nearest even. The plain arithmetic that, unlike the conversion of `half`, the compiler vectorizes.
#[inline(always)]
pub fn round(value: f32) -> bf16 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let quiet_nan = bits >> 16 | 0x40;
    bf16::from_bits(if value.is_nan() { quiet_nan } else { nearest } as u16)
}

/// Fills the packed form.
struct Write<'a> {
    matrix: &'a Matrix,
    values: &'a [f32],
    starts: &'a [usize],
    stride: usize,
}

impl InplaceOp1 for Write<'_> {
    fn name(&self) -> &'static str {
        "matrix-write"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let first = layout.start_offset();
        match storage {
            CpuStorage::F32(packed) => {
                dispatch(Loops { write: self, packed: &mut packed[first..], store: store_f32 })
            }
            CpuStorage::BF16(packed) => {
                dispatch(Loops { write: self, packed: &mut packed[first..], store: store_bf16 })
            }
            _ => candle_core::bail!("packed weights are f32 or bf16"),
        }
        Ok(())
    }
}

/// A run of the inputs of a panel's outputs, as they are stored unpacked.
type Tile = [[f32; RUN]; PANEL];

struct Loops<'a, T, S> {
    write: &'a Write<'a>,
    packed: &'a mut [T],
    store: S,
}

impl<T, S: Fn(&Tile, &mut [T])> Kernel for Loops<'_, T, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Write { matrix, values, starts, stride } = *self.write;
        let length = panel_length(matrix.inputs, matrix.precision);
        for (starts, panel) in starts.chunks(PANEL).zip(self.packed.chunks_exact_mut(length)) {
            let mut tile = [[0f32; RUN]; PANEL];
            for (first, packed) in
                (0..matrix.inputs).step_by(RUN).zip(panel.chunks_mut(RUN * PANEL))
            {
                let inputs = RUN.min(matrix.inputs - first);
                for (run, start) in tile.iter_mut().zip(starts) {
                    read_run(&values[start + first * stride..], stride, inputs, run);
                }
                (self.store)(&tile, packed);
            }
        }
    }
}

/// `inputs` values, `stride` apart, and zeros for the rest of the run.
#[inline(always)]
fn read_run(values: &[f32], stride: usize, inputs: usize, run: &mut [f32; RUN]) {
    match values.first_chunk::<RUN>() {
        Some(values) if stride == 1 && inputs == RUN => *run = *values,
        _ => {
            *run = [0.0; RUN];
            for (value, from) in run[..inputs].iter_mut().zip(values.iter().step_by(stride)) {
                *value = *from;
            }
        }
    }
}

/// `packed`: `[k][PANEL]` for all of the tile's inputs, or fewer at the end of the matrix.
#[inline(always)]
fn store_f32(tile: &Tile, packed: &mut [f32]) {
    for (k, row) in packed.as_chunks_mut::<PANEL>().0.iter_mut().enumerate().take(RUN) {
        *row = std::array::from_fn(|column| tile[column][k]);
    }
}

/// `packed`: `[k / 2][PANEL][2]`.
#[inline(always)]
fn store_bf16(tile: &Tile, packed: &mut [bf16]) {
    let (pairs, _) = packed.as_chunks_mut::<2>();
    let (rows, _) = pairs.as_chunks_mut::<PANEL>();
    for (k, row) in rows.iter_mut().enumerate().take(RUN / 2) {
        *row = std::array::from_fn(|column| [2 * k, 2 * k + 1].map(|k| round(tile[column][k])));
    }
}
