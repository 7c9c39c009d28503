//! A checkpoint is a folder of safetensors and a `config.json`: opened lazily, looked at, written.
//!
//! Weights come out as `f32`, row-major, whatever they are stored as. What a tensor is *for*, its [`Architecture`]
//! says. How tensors are combined is [`crate::merge`]'s business.
mod adapter;
mod architecture;
mod elements;
mod error;
mod headers;
mod open;
mod shards;
mod tensor;
mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use memmap2::Mmap;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub use crate::units::Dtype;
pub use adapter::{Adapter, AdapterError, Change, LowRank, Replacement};
pub use architecture::{Architecture, ArchitectureError, Place, Position, Stack};
pub use elements::{Elements, Stored};
pub use error::{CheckpointError, Found};
pub use headers::Headers;
pub use shards::OutputTensor;
pub use tensor::{TensorShape, round_to};
pub use write::{Beside, OutputConfig, WriteError, write_checkpoint};

use crate::simd::vectorize;
use tensor::StoredTensor;

/// An open checkpoint: headers read, weights mapped into memory and read when asked for.
///
/// The files must not be changed while it is open (as with any memory map).
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    config: serde_json::Value,
    architecture: Architecture,
    files: Vec<WeightFile>,
    tensors: BTreeMap<String, StoredTensor>,
    adapter: Option<Bound>,
    /// Filled when first asked for: it reads every byte.
    digest: OnceLock<String>,
}

/// An adapter on this checkpoint.
#[derive(Debug)]
struct Bound {
    /// By tensor.
    changes: BTreeMap<String, Change>,
    digest: String,
}

#[derive(Debug)]
struct WeightFile {
    path: PathBuf,
    map: Mmap,
}

impl Checkpoint {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
    ///
    /// Left out is what has no effect: tensors that are computed ([`Architecture::is_computed`]), masks of truth
    /// values, and copies of a tied tensor ([`Architecture::copy_of`]) with the same content.
    ///
    /// # Errors
    /// No such folder; no safetensors in it; a file that is truncated, malformed or contradicts the index; no
    /// `config.json`, or an [`Architecture`] that cannot be told.
    pub fn open(dir: &Path) -> Result<Checkpoint, CheckpointError> {
        open::open(dir)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `config.json`.
    pub fn config(&self) -> &serde_json::Value {
        &self.config
    }

    /// What its tensors are.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Number of layers of the first stack: all of a decoder, an encoder-decoder's encoder.
    pub fn layers(&self) -> usize {
        self.architecture.stacks().first().map_or(0, |stack| stack.layers)
    }

    /// All tensors, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorShape)> {
        self.tensors.iter().map(|(name, stored)| (name.as_str(), &stored.shape))
    }

    /// Shape and stored type of a tensor.
    pub fn shape(&self, name: &str) -> Option<&TensorShape> {
        self.tensors.get(name).map(|stored| &stored.shape)
    }

    /// The type that most elements are stored in; `None` without tensors.
    pub fn dtype(&self) -> Option<Dtype> {
        let elements = |dtype| -> usize {
            let of_type = |(_, shape): &(&str, &TensorShape)| shape.dtype == dtype;
            self.tensors().filter(of_type).map(|(_, shape)| shape.elements()).sum()
        };
        Dtype::ALL.into_iter().filter(|dtype| elements(*dtype) > 0).max_by_key(|d| elements(*d))
    }

    /// A tensor's elements, row-major; borrowed from the file where they are stored as aligned `f32`.
    ///
    /// # Errors
    /// No tensor of that name.
    pub fn tensor(&self, name: &str) -> Result<Cow<'_, [f32]>, CheckpointError> {
        Ok(self.elements(name)?.into_all())
    }

    /// The same, to be read part by part.
    ///
    /// # Errors
    /// No tensor of that name.
    pub fn elements(&self, name: &str) -> Result<Elements<'_>, CheckpointError> {
        let missing =
            || CheckpointError::NoTensor { dir: self.dir.clone(), tensor: name.to_owned() };
        let stored = self.tensors.get(name).ok_or_else(missing)?;
        let bytes = &self.files[stored.file].map[stored.bytes.clone()];
        let elements = Elements::stored(stored.shape.dtype, bytes);
        let change = self.adapter.as_ref().and_then(|adapter| adapter.changes.get(name));
        Ok(match change {
            Some(change) => elements.changed(change),
            None => elements,
        })
    }

    /// The same checkpoint with an adapter on it; nothing is copied, the change is added wherever elements are read.
    ///
    /// # Errors
    /// The adapter does not fit.
    pub fn with_adapter(mut self, adapter: &Adapter) -> Result<Checkpoint, AdapterError> {
        let tensors = self.tensors().map(|(name, tensor)| (name, tensor.shape.as_slice()));
        let changes = adapter.bind(&self.dir, tensors)?;
        self.adapter = Some(Bound { changes, digest: adapter.digest()? });
        self.digest = OnceLock::new();
        Ok(self)
    }

    /// The file that holds a tensor.
    pub fn file_of(&self, name: &str) -> Option<&Path> {
        self.tensors.get(name).map(|stored| self.files[stored.file].path.as_path())
    }

    /// Row-major index of a tensor's first NaN or infinite element.
    ///
    /// # Errors
    /// No tensor of that name.
    pub fn first_non_finite(&self, name: &str) -> Result<Option<usize>, CheckpointError> {
        let elements = self.elements(name)?;
        let mut part = [0.0; 4096];
        for start in (0..elements.len()).step_by(part.len()) {
            let part = &mut part[..4096.min(elements.len() - start)];
            elements.read(start, part);
            let checked: &[f32] = part;
            let finite = vectorize(move || checked.iter().fold(true, |all, x| all & x.is_finite()));
            if !finite {
                return Ok(part.iter().position(|x| !x.is_finite()).map(|i| start + i));
            }
        }
        Ok(None)
    }

    /// Reads every weight once, on rayon's threads, and refuses the checkpoint if one is NaN or infinite.
    ///
    /// # Errors
    /// Names file, tensor and index of the first such element, tensors in order of name.
    pub fn require_finite(&self) -> Result<(), CheckpointError> {
        let names: Vec<&String> = self.tensors.keys().collect();
        let fault = |name: &&String| match self.first_non_finite(name) {
            Ok(None) => None,
            Ok(Some(index)) => {
                let file = self.file_of(name).unwrap_or(&self.dir).to_owned();
                Some(CheckpointError::NotFinite { file, tensor: (*name).clone(), index })
            }
            Err(error) => Some(error),
        };
        names.par_iter().find_map_first(fault).map_or(Ok(()), Err)
    }

    /// Refuses an expert whose tensors are not those of `self`, by name and shape.
    ///
    /// # Errors
    /// Names the first tensor that differs, both shapes and both files.
    pub fn require_same_shapes(&self, expert: &Checkpoint) -> Result<(), CheckpointError> {
        for name in self.tensors.keys().chain(expert.tensors.keys()) {
            let (first, other) = (self.found(name), expert.found(name));
            if first.shape != other.shape {
                let (first, other) = (Box::new(first), Box::new(other));
                return Err(CheckpointError::ShapesDiffer { tensor: name.clone(), first, other });
            }
        }
        Ok(())
    }

    /// Where a tensor is, and its shape, for messages.
    pub fn found(&self, name: &str) -> Found {
        Found {
            file: self.file_of(name).unwrap_or(&self.dir).to_owned(),
            shape: self.shape(name).map(|tensor| tensor.shape.clone()),
        }
    }

    /// SHA-256 over `config.json`, `tokenizer.json` if there is one, and the weight files, names included, as 64 hexadecimal digits. Computed once.
    ///
    /// # Errors
    /// `config.json` has become unreadable.
    pub fn digest(&self) -> Result<&str, CheckpointError> {
        match self.digest.get() {
            Some(digest) => Ok(digest),
            None => {
                let digest = self.compute_digest()?;
                Ok(self.digest.get_or_init(|| digest))
            }
        }
    }

    fn compute_digest(&self) -> Result<String, CheckpointError> {
        let path = self.dir.join("config.json");
        let config = std::fs::read(&path)
            .map_err(|source: io::Error| CheckpointError::Read { path, source })?;
        let mut all = Sha256::new();
        add_file(&mut all, "config.json", &config);
        for name in TOKENIZER_FILES {
            if let Ok(content) = std::fs::read(self.dir.join(name)) {
                add_file(&mut all, name, &content);
            }
        }
        if let Some(adapter) = &self.adapter {
            add_file(&mut all, "adapter", adapter.digest.as_bytes());
        }
        for file in &self.files {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            add_file(&mut all, &name, &file.map);
        }
        Ok(all.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What decides which tokens a model is given, where there is such a file.
const TOKENIZER_FILES: [&str; 4] =
    ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"];

/// Name and content enter as hashes of fixed length, so that no two lists of files run into one text.
fn add_file(all: &mut Sha256, name: &str, content: &[u8]) {
    all.update(Sha256::digest(name.as_bytes()));
    all.update(Sha256::digest(content));
}

#[cfg(test)]
mod tests;
