//! The network: a Llama-type decoder that scores packed trees of tokens on the CPU in float32.
//!
//! What comes in is a [`TokenForest`] (many prompts with their answers, shared prefixes stored once); what goes out is the
//! log-probability of each token that was asked for. [`crate::evaluate`] builds the forests and adds the numbers up;
//! tasks, accuracies and recipes are unknown here.

mod config;
mod forest;
mod layers;
mod llama;
pub mod reference;

pub use config::{ConfigError, LlamaConfig};
pub use forest::{Prediction, Sequence, TokenForest, common_prefix};
pub use llama::{Llama, LoadError, Scratch};
