//! Log-probabilities of given tokens from logits, without building the whole log-softmax.

use candle_core::{Result, Storage, Tensor};

use super::Rows;
use super::simd::{Kernel, dispatch, exp, max_of, sum_of};
use crate::model::batch::Prediction;

/// `logits[row][token] - log Σ exp(logits[row])` for each prediction.
///
/// `logits`: `[rows, vocab]`, f32; the predictions' rows count from `first_row`.
pub fn log_likelihoods(
    logits: &Tensor,
    first_row: usize,
    predictions: &[Prediction],
) -> Result<Vec<f32>> {
    let (storage, layout) = logits.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        candle_core::bail!("log-likelihoods are computed on the CPU")
    };
    let logits = Rows::new(storage, layout)?;
    let normalisers = dispatch(LogSumExp { logits });
    Ok(predictions
        .iter()
        .map(|asked| {
            let row = asked.row - first_row;
            logits.row(row)[asked.token as usize] - normalisers[row]
        })
        .collect())
}

struct LogSumExp<'a> {
    logits: Rows<'a>,
}

impl Kernel for LogSumExp<'_> {
    type Output = Vec<f32>;
    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let mut normalisers = Vec::with_capacity(self.logits.count);
        for index in 0..self.logits.count {
            let row = self.logits.row(index);
            let max = max_of(row);
            normalisers.push(max + sum_of(row, |x| exp(x - max)).ln());
        }
        normalisers
    }
}
