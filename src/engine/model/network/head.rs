//! From the last layer's states to log-probabilities.

use candle_core::{Device, Result, Tensor};

use super::pass::Scratch;
use super::places::Builder;
use crate::model::batch::Prediction;
use crate::model::layers::{Buffer, Linear, Norm, log_likelihoods, tanh};
use crate::model::spec::{Activation, HeadSpec};

pub(super) enum Head {
    LanguageModel {
        transform: Option<(Linear, Activation, Norm)>,
        scale: f32,
        output: Linear,
        softcap: Option<f32>,
    },
    Classifier {
        pooler: Linear,
        output: Linear,
    },
}

/// Logits computed at once.
const LOGITS: usize = 1 << 18;
/// Rows of logits computed at once, however large the vocabulary.
const FEWEST_ROWS: usize = 64;

impl Head {
    pub fn new(spec: &HeadSpec, builder: &mut Builder) -> Result<Self> {
        Ok(match spec {
            HeadSpec::LanguageModel { transform, scale, output, softcap } => Head::LanguageModel {
                transform: match transform.as_deref() {
                    Some((dense, activation, norm)) => {
                        Some((builder.linear(dense)?, *activation, builder.norm(norm)?))
                    }
                    None => None,
                },
                scale: *scale,
                output: builder.linear(output)?,
                softcap: *softcap,
            },
            HeadSpec::Classifier { pooler, output } => Head::Classifier {
                pooler: builder.linear(pooler)?,
                output: builder.linear(output)?,
            },
        })
    }

    /// Width of the logits.
    pub fn outputs(&self) -> usize {
        match self {
            Head::LanguageModel { output, .. } | Head::Classifier { output, .. } => {
                output.outputs()
            }
        }
    }

    /// Rows of logits computed at once.
    pub fn step(&self) -> usize {
        (LOGITS / self.outputs().max(1)).max(FEWEST_ROWS)
    }

    /// What the output matrix multiplies, `[rows, width]`. `hidden`: `[rows, hidden]`.
    fn features(&self, hidden: &Tensor) -> Result<Tensor> {
        let through = |linear: &Linear, activation: Activation| {
            let shape = (hidden.dim(0)?, linear.outputs());
            let features = Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu)?;
            linear.forward_into(&features, hidden)?;
            activation.in_place(&features)?;
            Ok::<_, candle_core::Error>(features)
        };
        match self {
            Head::LanguageModel { transform: None, scale, .. } if *scale == 1.0 => {
                Ok(hidden.clone())
            }
            Head::LanguageModel { transform: None, scale, .. } => hidden * f64::from(*scale),
            Head::LanguageModel { transform: Some((dense, activation, norm)), .. } => {
                let features = through(dense, *activation)?;
                norm.in_place(&features)?;
                Ok(features)
            }
            Head::Classifier { pooler, .. } => through(pooler, Activation::Tanh),
        }
    }

    fn logits_into(&self, out: &Tensor, features: &Tensor) -> Result<()> {
        let (output, softcap) = match self {
            Head::LanguageModel { output, softcap, .. } => (output, *softcap),
            Head::Classifier { output, .. } => (output, None),
        };
        output.forward_into(out, features)?;
        match softcap {
            Some(cap) => cap_logits(out, cap),
            None => Ok(()),
        }
    }

    /// Log-probability in nats of each of `asked`, sorted by row, some rows at a time so that the logits stay small.
    pub fn predict(
        &self,
        hidden: &Tensor,
        mut asked: &[Prediction],
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>> {
        let features = self.features(hidden)?;
        let rows = features.dim(0)?;
        let mut scores = Vec::with_capacity(asked.len());
        for first in (0..rows).step_by(self.step()) {
            let count = self.step().min(rows - first);
            let logits = scratch.logits.matrix(count, self.outputs())?;
            self.logits_into(&logits, &features.narrow(0, first, count)?)?;
            let (now, later) = asked.split_at(asked.partition_point(|p| p.row < first + count));
            scores.extend(log_likelihoods(&logits, first, now)?);
            asked = later;
        }
        Ok(scores)
    }

    /// All logits, `[rows, outputs]`; for few rows.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.logits_in(hidden, &mut Buffer::new()?)
    }

    /// The same in memory that is there already.
    pub fn logits_in(&self, hidden: &Tensor, buffer: &mut Buffer) -> Result<Tensor> {
        let features = self.features(hidden)?;
        let logits = buffer.matrix(features.dim(0)?, self.outputs())?;
        self.logits_into(&logits, &features)?;
        Ok(logits)
    }
}

/// `cap · tanh(x / cap)` in place.
fn cap_logits(logits: &Tensor, cap: f32) -> Result<()> {
    crate::model::layers::apply(logits, move |x| cap * tanh(x / cap))
}
