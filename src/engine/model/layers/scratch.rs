//! Memory for activations, kept from one batch to the next.

use candle_core::{DType, Device, Result, Tensor};

/// One buffer that holds matrices of changing shape.
pub struct Buffer(Tensor);

impl Buffer {
    /// An empty one.
    pub fn new() -> Result<Self> {
        Ok(Buffer(Tensor::zeros(0, DType::F32, &Device::Cpu)?))
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        self.0.elem_count() * 4
    }

    /// A matrix `[rows, width]` of whatever was there before; it shares the buffer's memory.
    pub fn matrix(&mut self, rows: usize, width: usize) -> Result<Tensor> {
        if self.0.elem_count() < rows * width {
            self.0 = Tensor::zeros(rows * width, DType::F32, &Device::Cpu)?;
        }
        self.0.narrow(0, 0, rows * width)?.reshape((rows, width))
    }
}
