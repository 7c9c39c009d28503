//! A second opinion on a checkpoint that was just written.

use std::path::{Path, PathBuf};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::model::reference::{ReferenceError, last_logits};
use crate::model::{ConfigError, LlamaConfig, Scratch, Sequence, TokenForest};

/// Largest difference of a log-probability, in nats, that rounding explains.
const TOLERANCE: f64 = 1e-3;
/// Length of the probe.
const PROBE_TOKENS: usize = 12;

/// Why an export is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The folder cannot be read back.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its config cannot be read back.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// candle-transformers cannot run it.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Our own model cannot run it.
    #[error("cannot run {}: {reason}", folder.display())]
    Run { folder: PathBuf, reason: String },
    /// The two implementations disagree.
    #[error(
        "{}: candle-transformers' Llama gives log-probabilities that differ by {difference}, expected at most {TOLERANCE}",
        folder.display()
    )]
    Differs { folder: PathBuf, difference: f64 },
}

/// Runs the checkpoint in `folder` with our scorer and with candle-transformers' own Llama, on a fixed probe of tokens,
/// and returns the largest difference of a log-probability over the whole vocabulary, in nats.
///
/// # Errors
/// The folder cannot be read back or run, or the two differ by more than rounding.
pub fn verify_export(folder: &Path) -> Result<f64, VerifyError> {
    let checkpoint = Checkpoint::open(folder)?;
    let config = LlamaConfig::from_json(checkpoint.config())?;
    let vocabulary = config.vocab_size as u32;
    // Spread over the vocabulary by the golden ratio, so that no two tokens are neighbours.
    let probe: Vec<u32> = (1..=PROBE_TOKENS as u64)
        .map(|i| (i * 2_654_435_769 % u64::from(vocabulary)) as u32)
        .collect();
    let failed = |reason: String| VerifyError::Run { folder: folder.to_owned(), reason };
    let model = super::candle_evaluator::load_checkpoint(&checkpoint, &config).map_err(failed)?;
    let sequences: Vec<Sequence> = (0..vocabulary)
        .map(|token| {
            let tokens: Vec<u32> = probe.iter().copied().chain([token]).collect();
            Sequence { scored_from: tokens.len() - 1, tokens }
        })
        .collect();
    let forest = TokenForest::new(&sequences.iter().collect::<Vec<_>>());
    let ours = Scratch::new()
        .and_then(|mut scratch| model.log_probabilities(&forest, &mut scratch))
        .map_err(|error| failed(error.to_string()))?;
    let theirs = log_softmax(&last_logits(folder, &probe)?);
    let difference =
        ours.iter().zip(&theirs).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    // `max` drops NaN: it must not pass.
    let finite = ours.iter().all(|value| value.is_finite());
    if difference <= TOLERANCE && finite && theirs.iter().all(|value| value.is_finite()) {
        return Ok(difference);
    }
    Err(VerifyError::Differs { folder: folder.to_owned(), difference })
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - greatest).exp()).sum();
    logits.iter().map(|logit| f64::from(logit - greatest) - sum.ln()).collect()
}
