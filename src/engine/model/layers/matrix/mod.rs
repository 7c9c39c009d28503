//! Weight matrices packed for the CPU's vector and matrix units, and their products.
//!
//! [`Matrix`] is the storage: panels of [`PANEL`] outputs in which one step of a product reads one run of memory.
//! [`product()`] multiplies rows by matrices that stand side by side. Each element of a result has the same bits whatever
//! rows are computed beside it, so that a document's score does not depend on its batch.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod dot;
mod float32;
mod format;
mod panel;
mod product;
mod rounded;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tiles;

use candle_core::{DType, Device, Result, Tensor};

pub use panel::panel_product;
pub use product::product;

/// How weights are stored for products.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precision {
    /// Products in float32.
    F32,
    /// Weights and inputs rounded to bfloat16, sums in float32.
    Bf16,
}

/// Width of a panel of packed outputs.
pub const PANEL: usize = 32;

/// Inputs that one step of a bf16 product takes: a row of a matrix unit's tile. Shorter rows end in zeros.
const STEP: usize = 32;

/// The start of a packed matrix, in bytes: a cache line, which no load of a vector then straddles.
const ALIGNMENT: usize = 64;

/// A weight matrix `[outputs, inputs]`, packed for [`product()`]. Clones share its memory.
///
/// In f32 a panel is `[inputs][PANEL]`; in bf16 `[inputs / 2][PANEL][2]`, the inputs padded with zeros to a whole
/// `STEP`. The last panel's missing outputs are zeros.
#[derive(Clone)]
pub struct Matrix {
    packed: Tensor,
    outputs: usize,
    inputs: usize,
    precision: Precision,
}

impl Matrix {
    /// A matrix of zeros on the CPU.
    ///
    /// # Errors
    /// When it would be empty.
    pub fn zeros(outputs: usize, inputs: usize, precision: Precision) -> Result<Self> {
        if outputs == 0 || inputs == 0 {
            candle_core::bail!("a matrix [{outputs}, {inputs}] is empty");
        }
        let dtype = match precision {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
        };
        let length = outputs.div_ceil(PANEL) * panel_length(inputs, precision);
        let slack = ALIGNMENT / dtype.size_in_bytes();
        let memory = Tensor::zeros(length + slack, dtype, &Device::Cpu)?;
        let packed = memory.narrow(0, format::aligned_start(&memory)?, length)?;
        Ok(Matrix { packed, outputs, inputs, precision })
    }

    /// Length of a row of a product's result.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Length of a row that the matrix multiplies.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How the weights are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Memory of the packed weights.
    pub fn bytes(&self) -> usize {
        self.packed.elem_count() * self.packed.dtype().size_in_bytes()
    }
}

/// Elements of one panel.
fn panel_length(inputs: usize, precision: Precision) -> usize {
    match precision {
        Precision::F32 => inputs * PANEL,
        Precision::Bf16 => inputs.next_multiple_of(STEP) * PANEL,
    }
}
