//! LoRA adapters as PEFT saves them: what one changes in the weights of its base model.
//!
//! The base model is never written: [`Adapter::bind`] gives, for each of its tensors that the adapter changes, a
//! [`Change`] that is applied to any run of elements of it as they stream by.
mod bind;
mod config;
mod error;
mod low_rank;
mod names;
mod parts;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::tensor::{StoredTensor, decode};
use super::{CheckpointError, WeightFile, add_file, open};

use config::AdapterConfig;
use parts::Parts;

pub use error::AdapterError;
pub use low_rank::LowRank;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PICKLED: &str = "adapter_model.bin";

/// An open adapter: names paired, weights mapped into memory and read by [`Adapter::bind`].
///
/// The files must not be changed while it is open (as with any memory map).
#[derive(Debug)]
pub struct Adapter {
    dir: PathBuf,
    config: AdapterConfig,
    file: Arc<WeightFile>,
    tensors: BTreeMap<String, StoredTensor>,
    parts: Parts,
}

/// What becomes of a tensor of the base model.
#[derive(Debug)]
pub enum Change {
    /// A low-rank matrix is added.
    LowRank(LowRank),
    /// Others take its place.
    Replace(Replacement),
}

/// Elements that were saved whole, and what is added to them.
#[derive(Debug)]
pub struct Replacement {
    file: Arc<WeightFile>,
    stored: StoredTensor,
    low_rank: Option<LowRank>,
}

impl Adapter {
    /// Opens `adapter_config.json` and `adapter_model.safetensors`.
    ///
    /// # Errors
    /// A file that is missing or malformed; a kind of adapter other than LoRA, or a variant of LoRA whose weights are
    /// not `W + scale B A`; a tensor that is not part of such an adapter; A without B.
    pub fn open(dir: &Path) -> Result<Adapter, AdapterError> {
        if !dir.is_dir() {
            return Err(CheckpointError::NoFolder { dir: dir.to_owned() }.into());
        }
        let config = AdapterConfig::read(&dir.join(CONFIG))?;
        let path = dir.join(WEIGHTS);
        if !path.is_file() {
            let pickled = dir.join(PICKLED).is_file();
            return Err(AdapterError::NoWeights { dir: dir.to_owned(), pickled });
        }
        let file = WeightFile::open(path)?;
        let tensors = open::stored_tensors(&file)?;
        let parts = Parts::sort(&file.path, &tensors)?;
        Ok(Adapter { dir: dir.to_owned(), config, file: Arc::new(file), tensors, parts })
    }

    /// Whether a folder holds an adapter and no model's weights. Its base model's `config.json` may be there.
    pub fn is_adapter(dir: &Path) -> bool {
        let has = |name: &str| dir.join(name).is_file();
        has(CONFIG) && !has("model.safetensors") && !has("model.safetensors.index.json")
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder or hub id of the model that it was trained on, if the configuration says (`base_model_name_or_path`).
    pub fn base_model(&self) -> Option<&str> {
        self.config.base_model.as_deref()
    }

    /// What the adapter changes, by the base model's tensor names. `base` is the base model's folder, for messages;
    /// `tensors` are the names and shapes of all its tensors.
    ///
    /// Names may differ from the adapter's in a first word that one of them lacks (`transformer.h.0…`, `h.0…`).
    ///
    /// # Errors
    /// A tensor that the base model does not have, or has in another shape; a rank that contradicts the configuration;
    /// a NaN or infinite number.
    pub fn bind<'a>(
        &self,
        base: &Path,
        tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    ) -> Result<BTreeMap<String, Change>, AdapterError> {
        bind::bind(self, &bind::Base::new(base, tensors))
    }

    /// SHA-256 over `adapter_config.json` and `adapter_model.safetensors`, as 64 hexadecimal digits. Reads every byte.
    ///
    /// # Errors
    /// `adapter_config.json` has become unreadable.
    pub fn digest(&self) -> Result<String, AdapterError> {
        let path = self.dir.join(CONFIG);
        let config = std::fs::read(&path);
        let config = config.map_err(|source| CheckpointError::Read { path, source })?;
        let mut all = Sha256::new();
        add_file(&mut all, CONFIG, &config);
        add_file(&mut all, WEIGHTS, &self.file.map);
        Ok(all.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn elements(&self, stored: &StoredTensor) -> Vec<f32> {
        let bytes = self.file.map.get(stored.bytes.clone()).unwrap_or_default();
        let mut elements = vec![0.0; stored.shape.elements()];
        decode(stored.shape.dtype, bytes, &mut elements);
        elements
    }
}

impl Change {
    /// Changes `out`, the elements of the base model's tensor from `start` on, row-major.
    pub fn apply(&self, start: usize, out: &mut [f32]) {
        match self {
            Change::LowRank(low_rank) => low_rank.add_to(start, out),
            Change::Replace(replacement) => replacement.copy_to(start, out),
        }
    }
}

impl Replacement {
    fn copy_to(&self, start: usize, out: &mut [f32]) {
        let bytes = self.file.map.get(self.bytes(start, out.len())).unwrap_or_default();
        decode(self.stored.shape.dtype, bytes, out);
        if let Some(low_rank) = &self.low_rank {
            low_rank.add_to(start, out);
        }
    }

    /// Of `count` elements from `start` on, or of as many as there are.
    fn bytes(&self, start: usize, count: usize) -> Range<usize> {
        let size = self.stored.shape.dtype.size();
        let Range { start: first, end } = self.stored.bytes;
        let from = first.saturating_add(start.saturating_mul(size)).min(end);
        from..from.saturating_add(count.saturating_mul(size)).min(end)
    }
}
