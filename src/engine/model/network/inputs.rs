//! What the layers of a network read.

use candle_core::{Result, Tensor};

use super::{Network, Pass, Scratch, States};
use crate::model::batch::Batch;

impl Network {
    /// Entry `l` is [`Network::layer_input`] of layer `l`, for the first `layers` layers, all in one pass. Of a network that reads
    /// from left to right.
    ///
    /// # Errors
    /// As [`Network::layer_input`].
    pub fn layer_inputs(
        &self,
        batch: &Batch,
        layers: usize,
        scratch: &mut Scratch,
    ) -> Result<Vec<Tensor>> {
        let mut inputs: Vec<Tensor> = Vec::with_capacity(layers);
        for layer in 0..layers {
            let before = inputs.last().map(|x| States { layer: layer - 1, x: x.clone() });
            let pass = Pass { resume: before.as_ref(), stop: Some(layer), ..Pass::default() };
            inputs.push(self.hidden(batch, &pass, scratch)?.0);
        }
        Ok(inputs)
    }
}
