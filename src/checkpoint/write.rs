//! Writing a checkpoint: safetensors, a config that fits them, the tokenizer of the model it descends from.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::{ArchitectureError, Checkpoint, CheckpointError, Dtype};

/// Files that belong to a model besides its weights and `config.json`.
const COMPANIONS: [&str; 11] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
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
    /// For each stack of the source, the layer whose place each output layer takes.
    pub source_layers: &'a [Vec<usize>],
    /// What the weights are stored as.
    pub dtype: Dtype,
    /// Entries of `config.json` that are set besides.
    pub settings: &'a Map<String, Value>,
    /// Largest size of a weight file; a tensor larger than this has a file of its own.
    pub shard_size: Bytes,
    /// Told the bytes of weights written so far each time.
    pub progress: &'a (dyn Fn(Bytes) + Sync),
}

/// Why a checkpoint was not written; `E` is what went wrong in making a tensor.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E: std::error::Error + 'static> {
    /// There is something in the folder.
    #[error("{} is not empty", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
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
    /// No `config.json` fits the layers taken.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// A tensor came with another number of elements than its shape says.
    #[error("tensor `{tensor}` has {found} elements, its shape says {expected}")]
    Elements {
        /// The tensor.
        tensor: String,
        /// Row-major.
        index: usize,
        /// `NaN`, `infinite` or `too large for float16`.
        value: &'static str,
    },
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
/// `dir` exists and is not empty; layers that no config fits; the disk; what `elements` returns.
pub fn write_checkpoint<E, V>(
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
    let adapted = adapted(config)?;
    let partial = Partial::create(dir)?;
    write_weights(&partial.0.join("model.safetensors"), tensors, &mut elements, config.dtype)?;
    write_config(&partial.0.join("config.json"), &adapted)?;
    copy_companions(config.source.dir(), &partial.0)?;
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

fn failed<E: std::error::Error>(path: &Path) -> impl FnOnce(io::Error) -> WriteError<E> {
    move |source| WriteError::Write { path: path.to_owned(), source }
}

/// A folder in the making; removed again unless renamed.
struct Partial(PathBuf);

impl Partial {
    fn create<E: std::error::Error>(dir: &Path) -> Result<Partial, WriteError<E>> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let partial = dir.with_file_name(format!(".{name}.partial-{}", std::process::id()));
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

/// Length and JSON of a safetensors header, padded so that the weights start at a multiple of 8 bytes.
fn header(tensors: &[(String, Vec<usize>)], dtype: Dtype) -> Vec<u8> {
    let mut entries = Map::new();
    entries.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut start = 0;
    for (name, shape) in tensors {
        let end = start + shape.iter().product::<usize>() * dtype.size();
        let entry = json!({"dtype": dtype.as_str(), "shape": shape, "data_offsets": [start, end]});
        entries.insert(name.clone(), entry);
        start = end;
    }
    let mut text = Value::Object(entries).to_string();
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    let length = text.len() as u64;
    [length.to_le_bytes().as_slice(), text.as_bytes()].concat()
}

fn write_config<E: std::error::Error>(path: &Path, config: &Value) -> Result<(), WriteError<E>> {
    let text = format!("{config:#}\n");
    let mut file = File::create(path).map_err(failed(path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(path))
}

/// `config.json` for the layers and the type of the output.
fn adapted(config: &OutputConfig) -> Result<Value, ArchitectureError> {
    let source = config.source;
    let mut adapted = source.architecture().output_config(source.config(), config.source_layers)?;
    if let Some(entries) = adapted.as_object_mut() {
        let key = if entries.contains_key("dtype") { "dtype" } else { "torch_dtype" };
        entries.insert(key.to_owned(), json!(config.dtype.torch_name()));
    }
    Ok(adapted)
}

fn copy_companions<E: std::error::Error>(from: &Path, to: &Path) -> Result<(), WriteError<E>> {
    for name in COMPANIONS {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_file() {
            fs::copy(&from, &to).and_then(|_| sync(&to)).map_err(failed(&to))?;
        }
    }
    sync(to).map_err(failed(to))
}
