//! A second opinion on a checkpoint that was just written.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};

use super::load::{LoadError, load_network};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::model::reference::{ReferenceError, last_logits};
use crate::model::{Batch, DeviceNetwork, NetworkSpec, Precision, Reading, Scratch, Sequence};

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
        "{}: a second implementation gives log-probabilities that differ by {difference}, expected at most {TOLERANCE}",
        folder.display()
    )]
    Differs { folder: PathBuf, difference: f64 },
}

/// Who gave the second opinion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondOpinion {
    /// candle-transformers' own Llama, which shares nothing with ours but the tensors.
    CandleTransformers,
    /// Our second executor, candle's tensor operations one by one; it shares the reading of `config.json`.
    Operations,
}

/// What a check showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verification {
    /// The largest difference of a log-probability over the whole vocabulary, in nats; rounding explains it.
    pub difference: f64,
    /// Compared with whom.
    pub by: SecondOpinion,
}

/// Reads the checkpoint in `folder` back, and runs it with our network and with another implementation on a fixed probe of
/// tokens: candle-transformers' Llama where it is one, else our network in candle's tensor operations.
///
/// # Errors
/// The folder cannot be read back or run, or the two differ by more than rounding.
pub fn verify_export(folder: &Path) -> Result<Verification, VerifyError> {
    let checkpoint = Checkpoint::open(folder)?;
    let network = load_network(&checkpoint, Precision::F32)?;
    let failed = |source| VerifyError::Run { folder: folder.to_owned(), source };
    let probe = Probe::new(network.spec());
    let mut scratch = Scratch::new().map_err(failed)?;
    let ours = network.distributions(&probe.batch, &mut scratch).map_err(failed)?.concat();
    let (theirs, by) = match last_logits(folder, &probe.tokens) {
        Ok(logits) => (log_softmax(&logits), SecondOpinion::CandleTransformers),
        Err(ReferenceError::Family { .. }) => {
            let rows = by_operations(&checkpoint, network.spec(), &probe).map_err(failed)?;
            let values = rows.concat().into_iter().map(f64::from).collect();
            (values, SecondOpinion::Operations)
        }
        Err(error) => return Err(Box::new(error).into()),
    };
    let difference =
        ours.iter().zip(&theirs).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    // `max` drops NaN: it must not pass.
    let finite = ours.iter().all(|value| value.is_finite());
    if difference <= TOLERANCE && finite && theirs.iter().all(|value| value.is_finite()) {
        return Ok(Verification { difference, by });
    }
    Err(VerifyError::Differs { folder: folder.to_owned(), difference })
}

/// Some tokens, and what is asked about them.
struct Probe {
    tokens: Vec<u32>,
    batch: Batch,
}

impl Probe {
    /// Spread over the vocabulary by the golden ratio, so that no two tokens are neighbours.
    fn new(spec: &NetworkSpec) -> Self {
        let vocabulary = spec.vocab_size as u64;
        // One less than fits: the decoder of a probe reads a token more than its source.
        let longest = spec.longest.map_or(PROBE_TOKENS, |longest| longest.saturating_sub(1).max(1));
        let count = PROBE_TOKENS.min(longest) as u64;
        let tokens: Vec<u32> =
            (1..=count).map(|i| (i * 2_654_435_769 % vocabulary) as u32).collect();
        let batch = match spec.reading {
            Reading::Classify => Batch::texts(&[&tokens]),
            Reading::Masked => {
                let middle = tokens.len() / 2;
                let sequence = Sequence {
                    source: Vec::new(),
                    tokens: tokens.clone(),
                    scored: middle..middle + 1,
                };
                Batch::new(Reading::Masked, tokens.first().copied(), 0, &[&sequence])
            }
            Reading::Causal | Reading::Seq2Seq => {
                // One token more than is read, whichever: its whole distribution is asked for.
                let read = [tokens.as_slice(), &[0]].concat();
                let scored = tokens.len()..read.len();
                let source = match spec.reading {
                    Reading::Seq2Seq => tokens.iter().rev().copied().collect(),
                    _ => Vec::new(),
                };
                let sequence = Sequence { source, tokens: read, scored };
                Batch::new(spec.reading, None, 0, &[&sequence])
            }
        };
        Probe { tokens, batch }
    }
}

/// The probe's distributions by the second executor, on candle's CPU device.
fn by_operations(
    checkpoint: &Checkpoint,
    spec: &NetworkSpec,
    probe: &Probe,
) -> candle_core::Result<Vec<Vec<f32>>> {
    let network = DeviceNetwork::new(spec, &Device::Cpu, DType::F32)?;
    for (name, _) in network.tensors() {
        let elements = checkpoint.elements(name).map_err(candle_core::Error::wrap)?;
        network.write(name, &elements.all())?;
    }
    network.distributions(&probe.batch)
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - greatest).exp()).sum();
    logits.iter().map(|logit| f64::from(logit - greatest) - sum.ln()).collect()
}
