//! A second opinion on a checkpoint that was just written.

use std::path::{Path, PathBuf};

use super::load::{LoadError, load_network};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::model::reference::{ReferenceError, last_logits};
use crate::model::spec::Reading;
use crate::model::{Batch, Network, Precision, Scratch, Sequence};

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
    /// The network cannot be built from it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// candle-transformers cannot run it.
    #[error(transparent)]
    Reference(#[from] Box<ReferenceError>),
    /// Our own network cannot run it.
    #[error("cannot run {}", folder.display())]
    Run {
        folder: PathBuf,
        #[source]
        source: candle_core::Error,
    },
    /// The two implementations disagree.
    #[error(
        "{}: candle-transformers' Llama gives log-probabilities that differ by {difference}, expected at most {TOLERANCE}",
        folder.display()
    )]
    Differs { folder: PathBuf, difference: f64 },
}

/// What a check showed.
#[derive(Debug, Clone, PartialEq)]
pub enum Verification {
    /// The largest difference of a log-probability over the whole vocabulary, in nats; rounding explains it.
    Agrees { difference: f64 },
    /// There is no second implementation of this family here; why, in a few words.
    NotCompared { reason: String },
}

/// Reads the checkpoint in `folder` back, and runs it with our network and with candle-transformers' own Llama on a fixed
/// probe of tokens.
///
/// # Errors
/// The folder cannot be read back or run, or the two differ by more than rounding.
pub fn verify_export(folder: &Path) -> Result<Verification, VerifyError> {
    let checkpoint = Checkpoint::open(folder)?;
    let network = load_network(&checkpoint, Precision::F32)?;
    let vocabulary = network.spec().vocab_size as u64;
    // Spread over the vocabulary by the golden ratio, so that no two tokens are neighbours.
    let probe: Vec<u32> =
        (1..=PROBE_TOKENS as u64).map(|i| (i * 2_654_435_769 % vocabulary) as u32).collect();
    if network.spec().reading != Reading::Causal {
        let family = &network.spec().family;
        return Ok(Verification::NotCompared { reason: format!("`{family}` is no Llama") });
    }
    let theirs = match last_logits(folder, &probe) {
        Ok(logits) => log_softmax(&logits),
        Err(error @ ReferenceError::Family { .. }) => {
            return Ok(Verification::NotCompared { reason: error.to_string() });
        }
        Err(error) => return Err(Box::new(error).into()),
    };
    let ours = last_log_probabilities(&network, &probe)
        .map_err(|source| VerifyError::Run { folder: folder.to_owned(), source })?;
    let difference =
        ours.iter().zip(&theirs).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    // `max` drops NaN: it must not pass.
    let finite = ours.iter().all(|value| value.is_finite());
    if difference <= TOLERANCE && finite && theirs.iter().all(|value| value.is_finite()) {
        return Ok(Verification::Agrees { difference });
    }
    Err(VerifyError::Differs { folder: folder.to_owned(), difference })
}

/// `[vocab_size]`, for what follows the probe.
fn last_log_probabilities(network: &Network, probe: &[u32]) -> candle_core::Result<Vec<f32>> {
    let tokens: Vec<u32> = probe.iter().copied().chain([0]).collect();
    let sequence = Sequence { source: Vec::new(), scored: probe.len()..tokens.len(), tokens };
    let batch = Batch::new(Reading::Causal, None, 0, &[&sequence]);
    let mut rows = network.distributions(&batch, &mut Scratch::new()?)?;
    Ok(rows.pop().unwrap_or_default())
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - greatest).exp()).sum();
    logits.iter().map(|logit| f64::from(logit - greatest) - sum.ln()).collect()
}
