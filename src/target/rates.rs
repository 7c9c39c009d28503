//! What of a peak is reached. These are assumptions, on the slow side, and no measurements of the device.

/// Checkpoints are read from disk at this rate, bytes per second: a quarter of what an NVMe disk gives.
pub const DISK: f64 = 1e9;
/// Share of the host link's peak when weights are copied to the device from memory that is not pinned.
pub const HOST_LINK: f64 = 0.5;
/// Weights are merged by the host, tensor by tensor in float32, at this rate, bytes read and written per second.
pub const MERGE: f64 = 5e9;
/// Share of the peak operations that reading a prompt reaches.
pub const PREFILL: f64 = 0.5;
/// Share of the peak bandwidth that writing a token reaches, which reads all weights once.
pub const DECODE: f64 = 0.6;
/// A pass takes at least this long per layer, in seconds: Python has to launch the layer's kernels.
pub const LAUNCH: f64 = 1e-3;
/// Beside weights, keys, values and logits: what CUDA's context and libraries hold, in bytes.
pub const CONTEXT: u64 = 1_000_000_000;
/// Characters of English text per token. Vocabularies of 32 to 128 thousand have about 4; fewer make more tokens.
pub const CHARACTERS_PER_TOKEN: f64 = 3.5;
/// The estimate is taken times this before it is held against a limit. The starter kit's authors give 25 minutes on an A6000
/// for CosmosQA and XSum with averaged adapters of Llama-2-7B in float32; reading and writing are estimated at 15.3 of them.
pub const MARGIN: f64 = 1.7;
/// Minutes that merging and evaluation together may take (LLM Merging Competition, NeurIPS 2024: rules).
pub const LIMIT_MINUTES: f64 = 60.0;
