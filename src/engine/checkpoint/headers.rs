//! What a folder's weight files list ahead of their elements; no element is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::open::{self, Listed};
use super::{Architecture, CheckpointError, WeightFile};
use crate::units::Bytes;

/// The headers of a model's, or of an adapter's, safetensors files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// Length of each axis of every tensor but masks of truth values, by name.
    pub shapes: BTreeMap<String, Vec<usize>>,
    /// In order of their names.
    pub files: Vec<PathBuf>,
    /// Of all files, headers included.
    pub bytes: Bytes,
}

impl Headers {
    /// Of `model.safetensors`, or of the shards that `model.safetensors.index.json` lists.
    ///
    /// # Errors
    /// No such file; one that is truncated or malformed.
    pub fn of_model(dir: &Path) -> Result<Headers, CheckpointError> {
        let (paths, index) = open::weight_files(dir)?;
        let files = paths.into_iter().map(WeightFile::open).collect::<Result<Vec<_>, _>>()?;
        let listed = open::listed(&files, index.as_ref())?;
        Ok(Headers::new(&files, listed))
    }

    /// Of one file.
    ///
    /// # Errors
    /// It is missing, truncated or malformed.
    pub fn of_file(file: &Path) -> Result<Headers, CheckpointError> {
        let files = [WeightFile::open(file.to_owned())?];
        let listed = open::listed(&files, None)?;
        Ok(Headers::new(&files, listed))
    }

    fn new(files: &[WeightFile], listed: BTreeMap<String, Listed>) -> Headers {
        let counts = |tensor: &Listed| tensor.dtype != safetensors::Dtype::BOOL;
        let listed = listed.into_iter().filter(|(_, tensor)| counts(tensor));
        Headers {
            shapes: listed.map(|(name, tensor)| (name, tensor.shape)).collect(),
            files: files.iter().map(|file| file.path.clone()).collect(),
            bytes: Bytes(files.iter().map(|file| file.map.len() as u64).sum()),
        }
    }

    /// Number of elements. Where `config` names an architecture, what is computed when the model is made and the copies of
    /// tied tensors are left out.
    pub fn elements(&self, config: Option<&Value>) -> u64 {
        let names = self.shapes.keys().map(String::as_str);
        let architecture = config.and_then(|config| Architecture::of(config, names).ok());
        let counts = |name: &str| {
            let left_out = |it: &Architecture| it.is_computed(name) || it.copy_of(name).is_some();
            !architecture.as_ref().is_some_and(left_out)
        };
        let elements = |shape: &Vec<usize>| {
            shape.iter().fold(1u64, |all, &length| all.saturating_mul(length as u64))
        };
        let counted = self.shapes.iter().filter(|(name, _)| counts(name));
        counted.map(|(_, shape)| elements(shape)).fold(0, u64::saturating_add)
    }
}
