//! Why a GGUF file cannot be used.

use std::path::PathBuf;

use serde_json::Value;

use crate::model::ConfigError;

/// A fault and the file it is in.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct GgufError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub fault: Box<GgufFault>,
}

/// What is wrong with a GGUF file.
#[derive(Debug, thiserror::Error)]
pub enum GgufFault {
    /// The file system refused.
    #[error("cannot read the file")]
    Read(#[source] std::io::Error),
    /// Another format.
    #[error("not a GGUF file: it begins with {found:02x?}, expected \"GGUF\"")]
    NotGguf {
        /// First bytes of the file.
        found: Vec<u8>,
    },
    /// A version of the format with another layout.
    #[error("GGUF version {version} (or another byte order); supported: 2 and 3, little-endian")]
    Version {
        /// What the file says.
        version: u32,
    },
    /// A length in the header goes beyond the end.
    #[error("the file ends in the middle of {place}")]
    Truncated {
        /// What was being read.
        place: String,
    },
    /// Text that is not UTF-8.
    #[error("{place} is not UTF-8")]
    Text {
        /// What was being read.
        place: String,
    },
    /// More elements than anything could need.
    #[error("{place} has {length} elements; at most {longest} are read")]
    TooLong {
        /// What was being read.
        place: String,
        /// What the file says.
        length: u64,
        /// The limit.
        longest: u64,
    },
    /// A type of metadata that the format does not have.
    #[error("metadata `{key}` has type {kind}; valid: 0 to 12")]
    ValueKind {
        /// Name of the entry.
        key: String,
        /// Number of the type.
        kind: u32,
    },
    /// Two entries, or two tensors, of one name.
    #[error("{place} is there twice")]
    Twice {
        /// What was being read.
        place: String,
    },
    /// An entry that the model cannot be built without.
    #[error("metadata `{key}` is missing; expected {expected}")]
    Missing {
        /// Name of the entry.
        key: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// An entry of the wrong kind or out of range.
    #[error("metadata `{key}` is {value}; expected {expected}")]
    Invalid {
        /// Name of the entry.
        key: String,
        /// What the file says.
        value: Box<Value>,
        /// What it should hold.
        expected: String,
    },
    /// A feature that changes the numbers and is not implemented.
    #[error("metadata `{key}` = {value} is not supported; supported: {supported}")]
    Unsupported {
        /// Name of the entry.
        key: String,
        /// What the file says.
        value: Box<Value>,
        /// What would be accepted.
        supported: String,
    },
    /// A way of storing numbers that is not read.
    #[error(
        "tensor {tensor} has the ggml type {kind}; supported: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K"
    )]
    TensorKind {
        /// Name in the file.
        tensor: String,
        /// Number of the type.
        kind: u32,
    },
    /// A shape whose elements cannot be counted or do not fill whole blocks.
    #[error(
        "tensor {tensor} has shape {shape:?}; expected 1 to 4 axes, rows of whole blocks of {block} elements"
    )]
    TensorShape {
        /// Name in the file.
        tensor: String,
        /// Outermost axis first.
        shape: Vec<u64>,
        /// Elements that are stored together.
        block: usize,
    },
    /// Elements beyond the end of the file.
    #[error("tensor {tensor} lies outside the file, which is cut short or damaged")]
    TensorOutside {
        /// Name in the file.
        tensor: String,
    },
    /// A tensor that the architecture is not known to have, so that leaving it out would change the numbers.
    #[error("tensor {tensor} is not part of a {architecture} model as it is computed here")]
    UnknownTensor {
        /// Name in the file.
        tensor: String,
        /// `general.architecture`.
        architecture: String,
    },
    /// A tensor that the model needs.
    #[error("there is no tensor for {name}")]
    NoTensor {
        /// Hugging Face's name of it.
        name: String,
    },
    /// Asked for another number of elements than the tensor has.
    #[error("{name} has {elements} elements, not {asked}")]
    Length {
        /// Hugging Face's name of the tensor.
        name: String,
        /// What it has.
        elements: usize,
        /// What was asked for.
        asked: usize,
    },
    /// candle cannot turn the tensor into floats.
    #[error("cannot dequantize tensor {tensor}")]
    Dequantize {
        /// Name in the file.
        tensor: String,
        /// candle's reason.
        source: candle_core::Error,
    },
    /// The metadata make a config that this program does not compute.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// A tokenizer that the metadata do not describe well enough.
    #[error("{reason}; put the model's tokenizer.json into the same folder")]
    NoTokenizer {
        /// What is missing or unknown.
        reason: String,
    },
    /// The tokenizer is damaged.
    #[error("cannot build the tokenizer")]
    Tokenizer(#[source] tokenizers::Error),
}
