//! From a folder to its tensor table; no weight is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use memmap2::Mmap;
use safetensors::SafeTensors;
use serde_json::Value;

use super::tensor::{StoredTensor, TensorShape};
use super::{Checkpoint, CheckpointError, Dtype, WeightFile};

/// Bytes of the header's length, at the start of a file.
const LENGTH_BYTES: usize = 8;

/// What `config.json` calls the number of layers.
pub(super) const LAYER_KEYS: [&str; 3] = ["num_hidden_layers", "n_layer", "num_layers"];

pub(super) fn open(dir: &Path) -> Result<Checkpoint, CheckpointError> {
    if !dir.is_dir() {
        return Err(CheckpointError::NoFolder { dir: dir.to_owned() });
    }
    let (paths, index) = weight_files(dir)?;
    let config_path = dir.join("config.json");
    let config = read_json(&config_path)?;
    let layers = layers(&config, &config_path)?;
    let tied_head = config.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false);
    let files = paths.into_iter().map(WeightFile::open).collect::<Result<Vec<_>, _>>()?;
    let tensors = tensor_table(&files, index.as_ref(), tied_head)?;
    let (dir, digest) = (dir.to_owned(), OnceLock::new());
    Ok(Checkpoint { dir, config, layers, tied_head, files, tensors, digest })
}

/// Tensor → file name, of a sharded checkpoint.
type Index = BTreeMap<String, String>;

fn weight_files(dir: &Path) -> Result<(Vec<PathBuf>, Option<Index>), CheckpointError> {
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

fn layers(config: &Value, path: &Path) -> Result<usize, CheckpointError> {
    let layers = LAYER_KEYS.iter().find_map(|key| config.get(key)).and_then(Value::as_u64);
    let wrong = || CheckpointError::Key {
        path: path.to_owned(),
        key: LAYER_KEYS[0].to_owned(),
        expected: "a whole number",
    };
    layers.and_then(|layers| usize::try_from(layers).ok()).ok_or_else(wrong)
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

fn tensor_table(
    files: &[WeightFile],
    index: Option<&Index>,
    tied_head: bool,
) -> Result<BTreeMap<String, StoredTensor>, CheckpointError> {
    let mut table = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        let belongs = |tensor: &str| match index {
            None => true,
            Some(index) => index.get(tensor).is_some_and(|name| file.path.ends_with(name)),
        };
        let of_file =
            read_header(number, file, |tensor| belongs(tensor) && has_effect(tensor, tied_head))?;
        table.extend(of_file);
    }
    require_listed(files, index, &table, tied_head)?;
    Ok(table)
}

/// Not so the head that is overwritten with the embedding, nor rotary tables, which are computed.
fn has_effect(tensor: &str, tied_head: bool) -> bool {
    let overwritten = tied_head && tensor == "lm_head.weight";
    !overwritten && !tensor.ends_with("rotary_emb.inv_freq")
}

fn require_listed(
    files: &[WeightFile],
    index: Option<&Index>,
    table: &BTreeMap<String, StoredTensor>,
    tied_head: bool,
) -> Result<(), CheckpointError> {
    let mut listed = index.into_iter().flatten();
    let missing = |tensor: &str| has_effect(tensor, tied_head) && !table.contains_key(tensor);
    let Some((tensor, name)) = listed.find(|(tensor, _)| missing(tensor)) else {
        return Ok(());
    };
    let file = files.iter().find(|file| file.path.ends_with(name));
    let path = file.map_or_else(|| PathBuf::from(name), |file| file.path.clone());
    let tensor = tensor.clone();
    Err(CheckpointError::NotInShard { path, tensor })
}

pub(super) fn read_header(
    number: usize,
    file: &WeightFile,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, StoredTensor)>, CheckpointError> {
    let malformed = |source| CheckpointError::Safetensors { path: file.path.clone(), source };
    let (header, metadata) = SafeTensors::read_metadata(&file.map).map_err(malformed)?;
    let start = LENGTH_BYTES + header;
    let mut tensors = Vec::new();
    for name in metadata.offset_keys().into_iter().filter(|name| wanted(name)) {
        let Some(stored) = metadata.info(&name) else {
            continue;
        };
        let dtype = Dtype::from_stored(stored.dtype).ok_or_else(|| CheckpointError::Dtype {
            path: file.path.clone(),
            tensor: name.clone(),
            dtype: format!("{:?}", stored.dtype),
        })?;
        let shape = TensorShape { shape: stored.shape.clone(), dtype };
        let (first, end) = stored.data_offsets;
        let bytes = start.saturating_add(first)..start.saturating_add(end);
        // The crate's own check adds without a guard against overflow.
        if file.map.get(bytes.clone()).is_none() {
            return Err(malformed(safetensors::SafeTensorError::InvalidOffset(name)));
        }
        tensors.push((name, StoredTensor { shape, file: number, bytes }));
    }
    Ok(tensors)
}
