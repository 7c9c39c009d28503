//! Networks out of checkpoints.

use std::borrow::Cow;
use std::path::PathBuf;

use rayon::prelude::*;

use super::Scorer;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::model::spec::NetworkSpec;
use crate::model::{ConfigError, Network, Precision};

/// Why a model could not be built from tensors.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// `config.json` has something this program does not compute.
    #[error("{}", file.display())]
    Config {
        /// Which file.
        file: PathBuf,
        /// What.
        #[source]
        source: Box<ConfigError>,
    },
    /// There is no such tensor.
    #[error("tensor `{name}` is missing")]
    Missing {
        /// Name in the checkpoint.
        name: String,
    },
    /// The tensor does not fit the config.
    #[error("tensor `{name}` has shape {got:?}; config.json asks for {expected:?}")]
    Shape {
        /// Name in the checkpoint.
        name: String,
        /// By the config.
        expected: Vec<usize>,
        /// As found.
        got: Vec<usize>,
    },
    /// A tensor cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// candle could not build the network.
    #[error("building the network")]
    Candle(#[from] candle_core::Error),
}

/// What a checkpoint computes, by its `config.json` and the tensors it has.
///
/// # Errors
/// [`LoadError::Config`].
pub fn network_spec(checkpoint: &Checkpoint) -> Result<NetworkSpec, LoadError> {
    let has = |name: &str| checkpoint.shape(name).is_some();
    NetworkSpec::from_json(checkpoint.config(), &has).map_err(|source| LoadError::Config {
        file: checkpoint.dir().join("config.json"),
        source: Box::new(source),
    })
}

/// A checkpoint as it is, ready to score. Tensors are packed on rayon's threads: call it inside
/// [`super::Pool::install`].
///
/// # Errors
/// See [`LoadError`].
pub fn load_network(checkpoint: &Checkpoint, precision: Precision) -> Result<Network, LoadError> {
    let spec = network_spec(checkpoint)?;
    require_checkpoint(checkpoint, &spec)?;
    let network = Network::new(&spec, precision)?;
    write_checkpoint(checkpoint, &network)?;
    Ok(network)
}

/// See [`require_tensors`].
pub(super) fn require_checkpoint(
    checkpoint: &Checkpoint,
    spec: &NetworkSpec,
) -> Result<(), LoadError> {
    require_tensors(spec, |name| checkpoint.shape(name).map(|tensor| tensor.shape.as_slice()))
}

/// Fills a network; inside [`super::Pool::install`].
pub(super) fn write_checkpoint(
    checkpoint: &Checkpoint,
    network: &dyn Scorer,
) -> Result<(), LoadError> {
    write_tensors(network, |name, _| Ok(checkpoint.elements(name)?.into_all()))
}

/// Fills a network with what `read` gives for each name and shape; inside [`super::Pool::install`].
pub(super) fn write_tensors<'a, E: From<candle_core::Error> + Send>(
    network: &dyn Scorer,
    read: impl Fn(&str, &[usize]) -> Result<Cow<'a, [f32]>, E> + Sync,
) -> Result<(), E> {
    write_some(network, |_| true, read)
}

/// As [`write_tensors`], those of them that are `wanted`.
pub(super) fn write_some<'a, E: From<candle_core::Error> + Send>(
    network: &dyn Scorer,
    wanted: impl Fn(&str) -> bool,
    read: impl Fn(&str, &[usize]) -> Result<Cow<'a, [f32]>, E> + Sync,
) -> Result<(), E> {
    let tensors: Vec<(&str, &[usize])> =
        network.tensors().filter(|(name, _)| wanted(name)).collect();
    let write = |(name, shape): &(&str, &[usize])| -> Result<bool, E> {
        Ok(network.write(name, &read(name, shape)?)?)
    };
    // One by one, so that every thread holds one tensor at most; and the first error of all.
    let written: Vec<_> = tensors.par_iter().with_max_len(1).map(write).collect();
    written.into_iter().try_for_each(|written| written.map(drop))
}

/// Checks that there is every tensor that the network needs, in its shape. Comes before any memory is taken: a config may
/// name sizes that no memory holds.
pub(super) fn require_tensors<'a>(
    spec: &NetworkSpec,
    shape: impl Fn(&str) -> Option<&'a [usize]>,
) -> Result<(), LoadError> {
    for (name, expected) in spec.tensors() {
        let name = name.to_owned();
        match shape(&name) {
            Some(got) if got == expected => {}
            Some(got) => {
                let (expected, got) = (expected.to_vec(), got.to_vec());
                return Err(LoadError::Shape { name, expected, got });
            }
            None => return Err(LoadError::Missing { name }),
        }
    }
    Ok(())
}
