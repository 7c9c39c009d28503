//! Writing a checkpoint: safetensors, a config that fits them, the tokenizer of the model it descends from.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value};

use crate::simd::vectorize;
use crate::units::{Bytes, Dtype};

use super::shards::{METADATA, OutputTensor, Shard, index, shards};
use super::tensor::encode;
use super::{Architecture, ArchitectureError, Checkpoint, CheckpointError};

/// Belongs to a model besides its weights and `config.json`.
const GENERATION: &str = "generation_config.json";

/// All files that a tokenizer may consist of.
const TOKENIZER: [&str; 10] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "merges.txt",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
];

/// Where the output's `config.json` and tokenizer come from, and how it is laid out on disk.
#[derive(Clone, Copy)]
pub struct OutputConfig<'a> {
    /// Copied from.
    pub source: &'a Checkpoint,
    /// For each stack, the layer of the source whose place each output layer takes, for settings that are per layer.
    pub source_layers: &'a [Vec<usize>],
    /// The type that `config.json` names.
    pub dtype: Dtype,
    /// Entries of `config.json` that are set besides.
    pub settings: &'a Map<String, Value>,
    /// Largest size of a weight file; a tensor larger than this has a file of its own.
    pub shard_size: Bytes,
    /// Told the number of bytes each time that some weights have been written.
    pub progress: &'a (dyn Fn(Bytes) + Sync),
    /// Whether the source's tokenizer is copied.
    pub copy_tokenizer: bool,
    /// Called last, with the folder under its passing name: writes what else belongs there.
    pub finish: &'a dyn Fn(&Path) -> Result<(), Beside>,
}

/// Why something beside the weights was not written.
pub type Beside = Box<dyn std::error::Error + Send + Sync>;

/// Why a checkpoint was not written; `E` is what went wrong in making a tensor.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E: std::error::Error + 'static> {
    /// There is something in the folder.
    #[error("{} is not empty", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// Two tensors of one name, or one that has the name of the header's own entry.
    #[error("the output has more than one entry `{tensor}`")]
    Duplicate {
        /// The name.
        tensor: String,
    },
    /// The disk.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The source checkpoint.
    #[error(transparent)]
    Source(#[from] CheckpointError),
    /// The layers do not make a model of that architecture.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// A NaN or infinite element.
    #[error(
        "element {index} of the merged tensor `{tensor}` is {value}{}",
        if *value == "too large for float16" { "; write bfloat16 or float32 (`out_dtype`)" } else { "" }
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// Row-major.
        index: usize,
        /// `NaN`, `infinite` or `too large for float16`.
        value: &'static str,
    },
    /// The tokenizer, the recipe or whatever else is written beside the weights.
    #[error("cannot write what belongs beside the weights")]
    Beside(#[source] Beside),
    /// A tensor could not be made.
    #[error(transparent)]
    Tensor(E),
}

/// Elements made, rounded and written at a time by one thread; a multiple of every block size of the merge.
const PART: usize = 1 << 20;

/// Writes a checkpoint folder: all or nothing, since it is made under another name next to `dir` and then renamed.
///
/// `prepare(i)` gives what makes the `i`-th tensor: a function that fills a slice with the elements from an index (a
/// multiple of 1024) on. Tensors are made and written in parallel on rayon's threads, part by part, so that no whole
/// tensor need be in memory.
///
/// # Errors
/// `dir` exists and is not empty; two tensors of one name; the disk; what `prepare` returns; an element that is not
/// finite.
pub fn write_checkpoint<E, P>(
    dir: &Path,
    tensors: &[OutputTensor],
    prepare: impl Fn(usize) -> Result<P, E> + Sync,
    config: &OutputConfig,
) -> Result<(), WriteError<E>>
where
    E: std::error::Error + Send + 'static,
    P: Fn(usize, &mut [f32]) + Sync,
{
    require_empty(dir)?;
    require_distinct(tensors)?;
    let adapted = adapted(config)?;
    if dir.is_dir() {
        // Now, and not after all the work: a folder that cannot be removed (a mount point) cannot be replaced.
        // It is made again, so that it is there as before if the work fails.
        fs::remove_dir(dir).and_then(|()| fs::create_dir(dir)).map_err(failed(dir))?;
    }
    let partial = Partial::create(dir)?;
    let shards = shards(tensors, config.shard_size);
    write_weights(&partial.0, tensors, &shards, prepare, config)?;
    if let Some(index) = index(tensors, &shards) {
        write_json(&partial.0.join("model.safetensors.index.json"), &index)?;
    }
    write_json(&partial.0.join("config.json"), &adapted)?;
    copy(config.source.dir(), &partial.0, &[GENERATION])?;
    if config.copy_tokenizer {
        copy(config.source.dir(), &partial.0, &TOKENIZER)?;
    }
    (config.finish)(&partial.0).map_err(WriteError::Beside)?;
    sync(&partial.0).map_err(failed(&partial.0))?;
    partial.rename(dir)
}

fn require_empty<E: std::error::Error>(dir: &Path) -> Result<(), WriteError<E>> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(WriteError::NotEmpty { dir: dir.to_owned() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(failed(dir)(source)),
    }
}

fn require_distinct<E: std::error::Error>(tensors: &[OutputTensor]) -> Result<(), WriteError<E>> {
    let mut names = HashSet::from([METADATA]);
    match tensors.iter().find(|tensor| !names.insert(&tensor.name)) {
        None => Ok(()),
        Some(tensor) => Err(WriteError::Duplicate { tensor: tensor.name.clone() }),
    }
}

fn failed<E: std::error::Error>(path: &Path) -> impl FnOnce(io::Error) -> WriteError<E> {
    move |source| WriteError::Write { path: path.to_owned(), source }
}

/// A folder in the making; removed again unless renamed.
struct Partial(PathBuf);

impl Partial {
    fn create<E: std::error::Error>(dir: &Path) -> Result<Partial, WriteError<E>> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        remove_leftovers(dir, &format!(".{name}.partial-"));
        let partial = dir.with_file_name(format!(".{name}.partial-{}", std::process::id()));
        // A process before us had our number and was killed.
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(failed(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(failed(&partial))?;
        Ok(Partial(partial))
    }

    fn rename<E: std::error::Error>(self, dir: &Path) -> Result<(), WriteError<E>> {
        if dir.is_dir() {
            fs::remove_dir(dir).map_err(failed(dir))?;
        }
        fs::rename(&self.0, dir).map_err(failed(dir))?;
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync(parent.unwrap_or(Path::new("."))).map_err(failed(dir))
    }
}

/// Longer than any merge takes.
const OLD: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What a process that was killed left of a folder of this name.
fn remove_leftovers(dir: &Path, prefix: &str) {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(parent.unwrap_or(Path::new("."))) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(prefix));
        let process = process.and_then(|process| process.parse::<u32>().ok());
        let runs = |process: u32| Path::new("/proc").join(process.to_string()).exists();
        // A process of another machine is not in our list: only what is old is nobody's.
        let is_old = || entry.metadata()?.modified()?.elapsed().map_err(io::Error::other);
        let is_old = is_old().is_ok_and(|age| age > OLD);
        if is_old
            && Path::new("/proc/self").exists()
            && process.is_some_and(|process| !runs(process))
        {
            // If that fails, the folder is in nobody's way.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the rename there is nothing to remove; a failure to clean up must not hide the first error.
        drop(fs::remove_dir_all(&self.0));
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A file being written, and its path for messages.
struct Target {
    path: PathBuf,
    file: File,
}

impl Target {
    fn create<E: std::error::Error>(path: PathBuf, shard: &Shard) -> Result<Target, WriteError<E>> {
        let size = shard.header.len() as u64 + shard.bytes.0;
        let file = File::create(&path).and_then(|file| {
            file.set_len(size)?;
            file.write_all_at(&shard.header, 0)?;
            Ok(file)
        });
        match file {
            Ok(file) => Ok(Target { path, file }),
            Err(source) => Err(WriteError::Write { path, source }),
        }
    }
}

fn write_weights<E, P>(
    dir: &Path,
    tensors: &[OutputTensor],
    shards: &[Shard],
    prepare: impl Fn(usize) -> Result<P, E> + Sync,
    config: &OutputConfig,
) -> Result<(), WriteError<E>>
where
    E: std::error::Error + Send + 'static,
    P: Fn(usize, &mut [f32]) + Sync,
{
    let create = |shard: &Shard| Target::create(dir.join(&shard.file), shard);
    let targets = shards.iter().map(create).collect::<Result<Vec<_>, WriteError<E>>>()?;
    let mut places: Vec<(usize, &Target, u64)> = Vec::with_capacity(tensors.len());
    for (shard, target) in shards.iter().zip(&targets) {
        let header = shard.header.len() as u64;
        let place = |(tensor, offset): &(usize, u64)| (*tensor, target, header + offset);
        places.extend(shard.places.iter().map(place));
    }
    // The largest first, so that no thread is left with a large one at the end.
    places.sort_by_key(|(tensor, ..)| std::cmp::Reverse(tensors[*tensor].elements()));
    places.par_iter().try_for_each(|(tensor, target, offset)| {
        let elements = prepare(*tensor).map_err(WriteError::Tensor)?;
        write_tensor(&tensors[*tensor], &elements, target, *offset, config.progress)
    })?;
    let synced = |target: &Target| target.file.sync_all().map_err(failed(&target.path));
    targets.par_iter().try_for_each(synced)
}

fn write_tensor<E: std::error::Error + Send + 'static>(
    tensor: &OutputTensor,
    elements: &(impl Fn(usize, &mut [f32]) + Sync),
    target: &Target,
    offset: u64,
    progress: &(dyn Fn(Bytes) + Sync),
) -> Result<(), WriteError<E>> {
    let count = tensor.elements();
    let write_part = |part: usize| {
        let start = part * PART;
        let mut values = vec![0.0; PART.min(count - start)];
        elements(start, &mut values);
        require_finite(tensor, start, &values)?;
        let mut bytes = Vec::with_capacity(values.len() * tensor.dtype.size());
        encode(tensor.dtype, &values, &mut bytes);
        let place = offset + (start * tensor.dtype.size()) as u64;
        target.file.write_all_at(&bytes, place).map_err(failed(&target.path))?;
        progress(Bytes(bytes.len() as u64));
        Ok(())
    };
    (0..count.div_ceil(PART)).into_par_iter().try_for_each(write_part)
}

/// Largest number that rounds to a finite float16.
const LARGEST_HALF: f32 = 65_519.996;

fn require_finite<E: std::error::Error>(
    tensor: &OutputTensor,
    start: usize,
    values: &[f32],
) -> Result<(), WriteError<E>> {
    let largest = if tensor.dtype == Dtype::F16 { LARGEST_HALF } else { f32::MAX };
    let fits = vectorize(move || values.iter().fold(true, |all, x| all & (x.abs() <= largest)));
    let misfit = |x: &f32| x.is_nan() || x.abs() > largest;
    let Some(position) = (!fits).then(|| values.iter().position(misfit)).flatten() else {
        return Ok(());
    };
    let value = match values[position] {
        x if x.is_nan() => "NaN",
        x if x.is_infinite() => "infinite",
        _ => "too large for float16",
    };
    Err(WriteError::NotFinite { tensor: tensor.name.clone(), index: start + position, value })
}

/// `config.json` for the output's layers and type.
fn adapted<E: std::error::Error>(config: &OutputConfig) -> Result<Value, WriteError<E>> {
    let architecture: &Architecture = config.source.architecture();
    let mut adapted = architecture.output_config(config.source.config(), config.source_layers)?;
    if let Some(entries) = adapted.as_object_mut() {
        let key = if entries.contains_key("dtype") { "dtype" } else { "torch_dtype" };
        entries.insert(key.to_owned(), config.dtype.as_str().into());
        entries.extend(config.settings.clone());
    }
    Ok(adapted)
}

fn write_json<E: std::error::Error>(path: &Path, json: &Value) -> Result<(), WriteError<E>> {
    let text = format!("{json:#}\n");
    let mut file = File::create(path).map_err(failed(path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(path))
}

fn copy<E: std::error::Error>(from: &Path, to: &Path, names: &[&str]) -> Result<(), WriteError<E>> {
    for name in names {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_file() {
            fs::copy(&from, &to).and_then(|_| sync(&to)).map_err(failed(&to))?;
        }
    }
    Ok(())
}
