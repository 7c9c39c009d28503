//! The network: packed batches of tokens in, log-probabilities out.
//!
//! `config` turns a checkpoint's `config.json` into a [`NetworkSpec`]: plain data that says which tensors there are and
//! what is computed with them. [`Network`] executes any spec on the CPU; `layers` has its operations.
//! [`device::DeviceNetwork`] executes any spec on any of candle's devices. [`Batch`] packs
//! sequences without padding, shared beginnings stored once. Tasks, accuracies and recipes are unknown here:
//! [`crate::evaluate`] builds the batches and adds the numbers up.

mod batch;
mod config;
mod cost;
pub mod device;
pub mod gguf;
mod layers;
mod network;
mod parts;
pub mod reference;
mod routing;
pub mod spec;

pub use batch::{Batch, Prediction, Segments, Sequence, common_prefix};
pub use config::ConfigError;
pub use cost::Workload;
pub use device::DeviceNetwork;
pub use layers::{Cache, Matrix, Precision, product};
pub use network::{
    Depth, Generation, Network, Pace, Pass, Prefix, Prompt, Scored, Scratch, States, Texts,
};
pub use spec::{NetworkSpec, Reading};
