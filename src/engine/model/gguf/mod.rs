//! Checkpoints in llama.cpp's file format GGUF, as models to score.
//!
//! [`Gguf`] shows such a file as if it were a Hugging Face checkpoint: its metadata as a `config.json`, its tensors under
//! Hugging Face's names and in their order of rows, its tokenizer. What llama.cpp's converter did is undone; elements
//! are dequantized by candle, one tensor at a time.
//!
//! Files come from strangers: no length in them is believed before it is seen to lie inside the file, and a setting or a
//! tensor that is not understood is an error.

mod blocks;
mod error;
mod header;
mod names;
mod settings;
mod tokenizer;

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use serde_json::Value;
use tokenizers::Tokenizer;

use super::spec::{NetworkSpec, PositionsSpec};
use blocks::dequantize;
pub use error::{GgufError, GgufFault};
use header::{Header, Stored};
use names::{Change, Source, is_known, source};
use settings::Settings;

/// Factors of Llama 3.1's rotary scaling, which the converter computes from the config and then drops.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// An open file. It must not be changed while it is open.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    map: Mmap,
    header: Header,
    settings: Settings,
}

impl Gguf {
    /// Whether `path` is named like a GGUF file.
    pub fn is_gguf(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
    }

    /// Opens a file and checks its header.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or holds a model or a setting that is not supported.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let error = |fault| GgufError { path: path.to_owned(), fault: Box::new(fault) };
        // SAFETY: the contract of `Gguf`: the file is not changed while it is open.
        let map = File::open(path).and_then(|file| unsafe { Mmap::map(&file) });
        let map = map.map_err(|source| error(GgufFault::Read(source)))?;
        let (header, settings) = read(&map).map_err(error)?;
        Ok(Gguf { path: path.to_owned(), map, header, settings })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `config.json` of the model would hold, but for Llama 3.1's rotary scaling; see [`Self::spec`].
    pub fn config(&self) -> &Value {
        &self.settings.config
    }

    /// The network, as the config and the file's rotary factors have it.
    ///
    /// # Errors
    /// Settings that are not computed here; rotary factors that do not fit the heads.
    pub fn spec(&self) -> Result<NetworkSpec, GgufError> {
        let mut spec = NetworkSpec::from_json(self.config(), &|name| self.has(name))
            .map_err(|source| self.error(GgufFault::Config(Box::new(source))))?;
        if let Some(factors) = self.rope_factors()? {
            for layer in spec.decoder.iter_mut().flat_map(|decoder| &mut decoder.layers) {
                if let PositionsSpec::Rotary(rotary) = &mut layer.attention.positions {
                    let pairs = rotary.inverse_frequencies.iter_mut().zip(&factors);
                    pairs.for_each(|(frequency, factor)| *frequency /= factor);
                }
            }
        }
        Ok(spec)
    }

    /// One per pair of a head's elements.
    fn rope_factors(&self) -> Result<Option<Vec<f32>>, GgufError> {
        let Some(stored) = self.header.tensors.get(ROPE_FACTORS) else {
            return Ok(None);
        };
        let (elements, asked) = (stored.elements, self.settings.head_dim / 2);
        if elements != asked {
            let name = ROPE_FACTORS.to_owned();
            return Err(self.error(GgufFault::Length { name, elements, asked }));
        }
        let mut factors = vec![0.0; elements];
        self.dequantize(ROPE_FACTORS, stored, 0, &mut factors)?;
        Ok(Some(factors))
    }

    /// Whether there is a tensor that Hugging Face calls `name`.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Shape of the tensor that Hugging Face calls `name`, outermost axis first.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let (source, stored) = self.find(name)?;
        stored.shape.get(usize::from(source.expert.is_some())..)
    }

    /// Writes the elements of the tensor that Hugging Face calls `name` to `out`, row by row.
    ///
    /// # Errors
    /// There is no such tensor, `out` has another length, or candle cannot read its type.
    pub fn read(&self, name: &str, out: &mut [f32]) -> Result<(), GgufError> {
        let no_tensor = || self.error(GgufFault::NoTensor { name: name.to_owned() });
        let (source, stored) = self.find(name).ok_or_else(no_tensor)?;
        let elements = self.shape(name).map_or(0, |shape| shape.iter().product());
        if out.len() != elements {
            let (name, asked) = (name.to_owned(), out.len());
            return Err(self.error(GgufFault::Length { name, elements, asked }));
        }
        let first = source.expert.unwrap_or(0) * elements;
        self.dequantize(&source.tensor, stored, first, out)?;
        self.undo(source.change, out);
        Ok(())
    }

    /// The tokenizer: `tokenizer.json` beside the file, else what the metadata describe; `None` if neither is there.
    ///
    /// # Errors
    /// A damaged file, or a kind of tokenizer that the metadata do not describe well enough.
    pub fn tokenizer(&self) -> Result<Option<Tokenizer>, GgufError> {
        let beside = self.path.with_file_name("tokenizer.json");
        if beside.is_file() {
            let fault = |source| Box::new(GgufFault::Tokenizer(source));
            let error = |source| GgufError { path: beside.clone(), fault: fault(source) };
            return Tokenizer::from_file(&beside).map(Some).map_err(error);
        }
        tokenizer::tokenizer(&self.header).map_err(|fault| self.error(fault))
    }

    fn error(&self, fault: GgufFault) -> GgufError {
        GgufError { path: self.path.clone(), fault: Box::new(fault) }
    }

    fn find(&self, name: &str) -> Option<(Source, &Stored)> {
        let source = source(self.settings.family, name)?;
        let stored = self.header.tensors.get(&source.tensor)?;
        let experts = stored.shape.first().copied().unwrap_or(0);
        source.expert.is_none_or(|expert| expert < experts).then_some((source, stored))
    }

    /// Elements of a stored tensor from `first` on; `first` and `out` are whole rows.
    fn dequantize(
        &self,
        tensor: &str,
        stored: &Stored,
        first: usize,
        out: &mut [f32],
    ) -> Result<(), GgufError> {
        let (block, size) = (stored.kind.block_size(), stored.kind.type_size());
        let start = stored.start + first / block * size;
        let outside = || self.error(GgufFault::TensorOutside { tensor: tensor.to_owned() });
        let bytes = self.map.get(start..start + out.len() / block * size).ok_or_else(outside)?;
        dequantize(stored.kind, bytes, out).map_err(|source| {
            self.error(GgufFault::Dequantize { tensor: tensor.to_owned(), source })
        })
    }

    fn undo(&self, change: Change, out: &mut [f32]) {
        match change {
            Change::None => {}
            Change::PlusOne => out.iter_mut().for_each(|element| *element -= 1.0),
            Change::QueryRows => pairs_to_halves(out, self.settings.heads, self.settings.head_dim),
            Change::KeyRows => pairs_to_halves(out, self.settings.kv_heads, self.settings.head_dim),
        }
    }
}

fn read(file: &[u8]) -> Result<(Header, Settings), GgufFault> {
    let header = Header::read(file)?;
    let settings = Settings::read(&header)?;
    let known = |tensor: &str| tensor == ROPE_FACTORS || is_known(&settings, tensor);
    match header.tensors.keys().find(|tensor| !known(tensor)) {
        Some(tensor) => Err(GgufFault::UnknownTensor {
            tensor: tensor.clone(),
            architecture: settings.config["model_type"].as_str().unwrap_or_default().to_owned(),
        }),
        None => Ok((header, settings)),
    }
}

/// Rows `(x₀, y₀, x₁, y₁, …)` of each head to `(x₀, x₁, …, y₀, y₁, …)`. A tensor of another number of rows is left as
/// it is; the network refuses its shape.
fn pairs_to_halves(out: &mut [f32], heads: usize, head_dim: usize) {
    let rows = heads * head_dim;
    if rows == 0 || !out.len().is_multiple_of(rows) || !head_dim.is_multiple_of(2) {
        return;
    }
    let width = out.len() / rows;
    let mut head = vec![0.0; head_dim * width];
    for out in out.chunks_exact_mut(head_dim * width) {
        head.copy_from_slice(out);
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let (pair, half) = (row % (head_dim / 2), row / (head_dim / 2));
            let from = (2 * pair + half) * width;
            out.copy_from_slice(&head[from..from + width]);
        }
    }
}
