//! From the last layer's states to log-probabilities, in float32.

use candle_core::{DType, Result, Tensor};

use super::operations::{activate, capped};
use super::surroundings::indices;
use super::weights::Weights;
use crate::model::batch::Prediction;
use crate::model::spec::{Activation, HeadSpec};

/// Logits computed at once, 256 MB in float32.
const LOGITS: usize = 1 << 26;

/// Number of logits in a row.
pub(super) fn outputs(head: &HeadSpec) -> usize {
    match head {
        HeadSpec::LanguageModel { output, .. } | HeadSpec::Classifier { output, .. } => {
            output.weight.outputs
        }
    }
}

/// Rows whose logits are computed at once.
pub(super) fn step(head: &HeadSpec) -> usize {
    (LOGITS / outputs(head).max(1)).max(1)
}

/// `[rows, outputs]`, f32. `hidden`: `[rows, hidden]`.
pub(super) fn logits(weights: &Weights, head: &HeadSpec, hidden: &Tensor) -> Result<Tensor> {
    let (features, output, softcap) = match head {
        HeadSpec::LanguageModel { transform, scale, output, softcap } => {
            let features = match transform.as_deref() {
                Some((dense, activation, norm)) => {
                    let dense = activate(*activation, &weights.linear(dense, hidden)?)?;
                    weights.norm(norm, &dense)?
                }
                None if *scale == 1.0 => hidden.clone(),
                None => (hidden * f64::from(*scale))?,
            };
            (features, output, *softcap)
        }
        HeadSpec::Classifier { pooler, output } => {
            (activate(Activation::Tanh, &weights.linear(pooler, hidden)?)?, output, None)
        }
    };
    capped(weights.linear(output, &features)?.to_dtype(DType::F32)?, softcap)
}

/// Log-probability of each prediction, in nats, in their order.
pub(super) fn predict(
    weights: &Weights,
    head: &HeadSpec,
    hidden: &Tensor,
    predictions: &[Prediction],
) -> Result<Vec<f32>> {
    let (rows, step) = (hidden.dim(0)?, step(head));
    let mut scores = vec![f32::NAN; predictions.len()];
    for first in (0..rows).step_by(step) {
        let count = step.min(rows - first);
        let asked: Vec<(usize, &Prediction)> = predictions
            .iter()
            .enumerate()
            .filter(|(_, asked)| (first..first + count).contains(&asked.row))
            .collect();
        let logits = logits(weights, head, &hidden.narrow(0, first, count)?)?;
        let at = |asked: &Prediction| asked.row - first;
        let rows = indices(weights, asked.iter().map(|(_, asked)| at(asked)))?;
        let places =
            asked.iter().map(|(_, asked)| at(asked) * outputs(head) + asked.token as usize);
        let picked = logits.flatten_all()?.index_select(&indices(weights, places)?, 0)?;
        let picked = (picked - logits.log_sum_exp(1)?.index_select(&rows, 0)?)?;
        for ((place, _), score) in asked.iter().zip(picked.to_vec1::<f32>()?) {
            if let Some(of) = scores.get_mut(*place) {
                *of = score;
            }
        }
    }
    Ok(scores)
}
