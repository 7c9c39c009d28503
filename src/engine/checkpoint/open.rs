//! From a folder to its tensor table; no weight is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use memmap2::Mmap;
use safetensors::SafeTensors;
use serde_json::Value;

use super::tensor::{StoredTensor, TensorShape, dtype_of};
use super::{
    Architecture, ArchitectureError, Checkpoint, CheckpointError, Place, Position, WeightFile,
};

/// Bytes of the header's length, at the start of a file.
const LENGTH_BYTES: usize = 8;

pub(super) fn open(dir: &Path) -> Result<Checkpoint, CheckpointError> {
    if !dir.is_dir() {
        return Err(CheckpointError::NoFolder { dir: dir.to_owned() });
    }
    let (paths, index) = weight_files(dir)?;
    let config_path = dir.join("config.json");
    let config = read_json(&config_path)?;
    let files = paths.into_iter().map(WeightFile::open).collect::<Result<Vec<_>, _>>()?;
    let listed = listed(&files, index.as_ref())?;
    let architecture = Architecture::of(&config, listed.keys().map(String::as_str))
        .map_err(|source| at_path(source, config_path))?;
    require_listed(&files, index.as_ref(), &listed, &architecture)?;
    require_all_layers(&architecture, listed.keys(), dir)?;
    let todays = |(name, tensor): (String, Listed)| (architecture.todays_name(&name), tensor);
    let listed = listed.into_iter().map(todays).collect();
    let tensors = tensor_table(&files, &listed, &architecture)?;
    let (dir, digest) = (dir.to_owned(), OnceLock::new());
    Ok(Checkpoint { dir, config, architecture, files, tensors, adapter: None, digest })
}

/// A known architecture with more layers than its config says would lose the others without a word.
fn require_all_layers<'n>(
    architecture: &Architecture,
    names: impl Iterator<Item = &'n String>,
    dir: &Path,
) -> Result<(), CheckpointError> {
    if !architecture.is_known() {
        return Ok(());
    }
    for name in names {
        let Place { stack, position } = architecture.place(name);
        let layers = architecture.stacks().get(stack).map_or(0, |stack| stack.layers);
        if let Position::Layer(layer) = position
            && layer >= layers
        {
            let (dir, tensor) = (dir.to_owned(), name.clone());
            return Err(CheckpointError::LayerBeyond { dir, tensor, layers });
        }
    }
    Ok(())
}

fn at_path(source: ArchitectureError, path: PathBuf) -> CheckpointError {
    match source {
        ArchitectureError::Count { key } => {
            CheckpointError::Key { path, key, expected: "a whole number" }
        }
        source => CheckpointError::Architecture { path, source },
    }
}

/// Tensor → file name, of a sharded checkpoint.
pub(super) type Index = BTreeMap<String, String>;

pub(super) fn weight_files(dir: &Path) -> Result<(Vec<PathBuf>, Option<Index>), CheckpointError> {
    let single = dir.join("model.safetensors");
    if single.is_file() {
        return Ok((vec![single], None));
    }
    let index_path = dir.join("model.safetensors.index.json");
    if !index_path.is_file() {
        let pickled = ["pytorch_model.bin", "pytorch_model.bin.index.json"];
        let pickled = pickled.iter().any(|name| dir.join(name).is_file());
        return Err(CheckpointError::NoSafetensors { dir: dir.to_owned(), pickled });
    }
    let index = read_index(&index_path)?;
    let names: BTreeSet<&String> = index.values().collect();
    Ok((names.into_iter().map(|name| dir.join(name)).collect(), Some(index)))
}

fn read_index(path: &Path) -> Result<Index, CheckpointError> {
    let wrong = || CheckpointError::Key {
        path: path.to_owned(),
        key: "weight_map".to_owned(),
        expected: "a mapping of tensor names to names of files in the same folder",
    };
    let json = read_json(path)?;
    let map = json.get("weight_map").and_then(Value::as_object).ok_or_else(wrong)?;
    map.iter()
        .map(|(tensor, file)| {
            let file = file.as_str().filter(|file| is_plain(file)).ok_or_else(wrong)?;
            Ok((tensor.clone(), file.to_owned()))
        })
        .collect()
}

/// An index must not lead out of its folder.
fn is_plain(file: &str) -> bool {
    Path::new(file).file_name().is_some_and(|name| name == file)
}

pub(super) fn read_json(path: &Path) -> Result<Value, CheckpointError> {
    let text = std::fs::read(path)
        .map_err(|source| CheckpointError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&text)
        .map_err(|source| CheckpointError::Json { path: path.to_owned(), source })
}

impl WeightFile {
    pub(super) fn open(path: PathBuf) -> Result<WeightFile, CheckpointError> {
        // SAFETY: the contract of `Checkpoint`: its files are not changed while it is open.
        let map = File::open(&path).and_then(|file| unsafe { Mmap::map(&file) });
        match map {
            Ok(map) => Ok(WeightFile { path, map }),
            Err(source) => Err(CheckpointError::Read { path, source }),
        }
    }
}

/// A tensor as a header lists it, of whatever type.
pub(super) struct Listed {
    pub(super) dtype: safetensors::Dtype,
    pub(super) shape: Vec<usize>,
    file: usize,
    bytes: Range<usize>,
}

/// All tensors of all files that the index does not place elsewhere.
pub(super) fn listed(
    files: &[WeightFile],
    index: Option<&Index>,
) -> Result<BTreeMap<String, Listed>, CheckpointError> {
    let mut all = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        let belongs = |tensor: &str| match index {
            None => true,
            Some(index) => index.get(tensor).is_some_and(|name| file.path.ends_with(name)),
        };
        all.extend(read_header(number, file, belongs)?);
    }
    Ok(all)
}

fn tensor_table(
    files: &[WeightFile],
    listed: &BTreeMap<String, Listed>,
    architecture: &Architecture,
) -> Result<BTreeMap<String, StoredTensor>, CheckpointError> {
    let mut table = BTreeMap::new();
    for (name, tensor) in listed {
        if tensor.dtype == safetensors::Dtype::BOOL
            || architecture.is_computed(name)
            || is_copy(name, tensor, files, listed, architecture)
        {
            continue;
        }
        table.insert(name.clone(), tensor.stored(name, &files[tensor.file])?);
    }
    Ok(table)
}

/// The tensors of a file that stands alone.
pub(super) fn stored_tensors(
    file: &WeightFile,
) -> Result<BTreeMap<String, StoredTensor>, CheckpointError> {
    let listed = read_header(0, file, |_| true)?.into_iter();
    let stored = |(name, tensor): (String, Listed)| {
        let stored = tensor.stored(&name, file)?;
        Ok((name, stored))
    };
    listed.map(stored).collect()
}

impl Listed {
    fn stored(&self, name: &str, file: &WeightFile) -> Result<StoredTensor, CheckpointError> {
        let dtype = dtype_of(self.dtype).ok_or_else(|| CheckpointError::Dtype {
            path: file.path.clone(),
            tensor: name.to_owned(),
            dtype: format!("{:?}", self.dtype),
        })?;
        let shape = TensorShape { shape: self.shape.clone(), dtype };
        Ok(StoredTensor { shape, file: self.file, bytes: self.bytes.clone() })
    }
}

/// Tied by the architecture, and stored with the same content. With other content it is a tensor of its own, whatever
/// `config.json` says: so transformers 5 reads T5 checkpoints with a head of their own.
fn is_copy(
    name: &str,
    tensor: &Listed,
    files: &[WeightFile],
    listed: &BTreeMap<String, Listed>,
    architecture: &Architecture,
) -> bool {
    let original = architecture.copy_of(name).and_then(|original| listed.get(original));
    let content = |tensor: &Listed| files[tensor.file].map.get(tensor.bytes.clone());
    original.is_some_and(|original| {
        (original.dtype, &original.shape) == (tensor.dtype, &tensor.shape)
            && content(original) == content(tensor)
    })
}

fn require_listed(
    files: &[WeightFile],
    index: Option<&Index>,
    listed: &BTreeMap<String, Listed>,
    architecture: &Architecture,
) -> Result<(), CheckpointError> {
    let mut promised = index.into_iter().flatten();
    let may_miss =
        |tensor: &str| architecture.is_computed(tensor) || architecture.copy_of(tensor).is_some();
    let is_missing = |tensor: &str| !listed.contains_key(tensor) && !may_miss(tensor);
    let Some((tensor, name)) = promised.find(|(tensor, _)| is_missing(tensor)) else {
        return Ok(());
    };
    let file = files.iter().find(|file| file.path.ends_with(name));
    let path = file.map_or_else(|| PathBuf::from(name), |file| file.path.clone());
    let tensor = tensor.clone();
    Err(CheckpointError::NotInShard { path, tensor })
}

fn read_header(
    number: usize,
    file: &WeightFile,
    belongs: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Listed)>, CheckpointError> {
    let malformed = |source| CheckpointError::Safetensors { path: file.path.clone(), source };
    let (header, metadata) = SafeTensors::read_metadata(&file.map).map_err(malformed)?;
    let start = LENGTH_BYTES + header;
    let mut tensors = Vec::new();
    for name in metadata.offset_keys().into_iter().filter(|name| belongs(name)) {
        let Some(stored) = metadata.info(&name) else {
            continue;
        };
        let (first, end) = stored.data_offsets;
        let bytes = start.saturating_add(first)..start.saturating_add(end);
        // The crate's own check adds without a guard against overflow.
        if file.map.get(bytes.clone()).is_none() {
            return Err(malformed(safetensors::SafeTensorError::InvalidOffset(name)));
        }
        let (dtype, shape) = (stored.dtype, stored.shape.clone());
        tensors.push((name, Listed { dtype, shape, file: number, bytes }));
    }
    Ok(tensors)
}
