//! An adapter and its base model: whose weights are which, and which way round they are stored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::parts::{Factors, duplicate};
use super::{Adapter, AdapterError, Change, LowRank, Replacement};
use crate::checkpoint::Found;
use crate::checkpoint::tensor::{StoredTensor, TensorShape};

/// The base model's tensors.
pub(super) struct Base<'a> {
    dir: PathBuf,
    shapes: BTreeMap<&'a str, &'a [usize]>,
    /// By the name without its first word.
    shortened: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Base<'a> {
    pub(super) fn new(
        dir: &Path,
        tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    ) -> Base<'a> {
        let shapes: BTreeMap<_, _> = tensors.into_iter().collect();
        let mut shortened = BTreeMap::<&str, Vec<&str>>::new();
        for name in shapes.keys() {
            if let Some((_, rest)) = name.split_once('.') {
                shortened.entry(rest).or_default().push(name);
            }
        }
        Base { dir: dir.to_owned(), shapes, shortened }
    }

    /// Whether layers are stored as `[in, out]`, as in GPT-2: their biases tell.
    fn is_conv(&self) -> bool {
        self.shapes.iter().any(|(name, shape)| {
            let bias = name.strip_suffix("weight").map(|layer| format!("{layer}bias"));
            let bias = bias.and_then(|bias| self.shapes.get(bias.as_str()));
            matches!((shape, bias), ([rows, columns], Some([out])) if rows != columns && columns == out)
        })
    }
}

pub(super) fn bind(
    adapter: &Adapter,
    base: &Base<'_>,
) -> Result<BTreeMap<String, Change>, AdapterError> {
    let binding =
        Binding { adapter, base, square_is_transposed: square_is_transposed(adapter, base) };
    let mut changes = BTreeMap::new();
    for (weight, key) in &adapter.parts.whole {
        let (name, shape) = binding.target(key, weight)?;
        let change = Change::Replace(binding.replacement(key, name, shape)?);
        binding.insert(&mut changes, name, key, change)?;
    }
    for (module, factors) in &adapter.parts.factors {
        let (name, shape) = binding.target(&factors.a, &format!("{module}.weight"))?;
        let low_rank = binding.low_rank(module, factors, name, shape)?;
        binding.insert(&mut changes, name, &factors.a, Change::LowRank(low_rank))?;
        if let Some(key) = &factors.bias_of_b {
            let (name, shape) = binding.target(key, &format!("{module}.bias"))?;
            let low_rank = binding.bias(module, key, name, shape)?;
            binding.insert(&mut changes, name, key, Change::LowRank(low_rank))?;
        }
    }
    Ok(changes.into_iter().map(|(name, (_, change))| (name, change)).collect())
}

/// The shape of a square weight does not tell which way round it is stored. Nor does `fan_in_fan_out` for sure: PEFT
/// goes by the class of each layer, and writes down what the last one wanted.
fn square_is_transposed(adapter: &Adapter, base: &Base<'_>) -> bool {
    base.is_conv() || adapter.config.fan_in_fan_out
}

/// By the base model's name: a tensor that the change comes from, and the change.
type Changes = BTreeMap<String, (String, Change)>;

struct Binding<'a> {
    adapter: &'a Adapter,
    base: &'a Base<'a>,
    square_is_transposed: bool,
}

impl<'a> Binding<'a> {
    /// The base model's name and shape for what the adapter calls `weight`.
    fn target(&self, key: &str, weight: &str) -> Result<(&'a str, &'a [usize]), AdapterError> {
        let found = self.base.shapes.get_key_value(weight);
        let without_first = || self.base.shapes.get_key_value(weight.split_once('.')?.1);
        if let Some((name, shape)) = found.or_else(without_first) {
            return Ok((name, shape));
        }
        match self.base.shortened.get(weight).map(Vec::as_slice).unwrap_or_default() {
            [] => Err(AdapterError::NoTarget {
                path: self.path(),
                key: key.to_owned(),
                weight: weight.to_owned(),
                base: self.base.dir.clone(),
            }),
            [name] => Ok((name, self.base.shapes.get(name).copied().unwrap_or_default())),
            [first, second, ..] => Err(AdapterError::Ambiguous {
                path: self.path(),
                key: key.to_owned(),
                first: (*first).to_owned(),
                second: (*second).to_owned(),
                base: self.base.dir.clone(),
            }),
        }
    }

    fn path(&self) -> PathBuf {
        self.adapter.file.path.clone()
    }

    fn stored(&self, key: &str) -> Result<&'a StoredTensor, AdapterError> {
        let unknown = || AdapterError::UnknownTensor { path: self.path(), key: key.to_owned() };
        self.adapter.tensors.get(key).ok_or_else(unknown)
    }

    /// A tensor's elements, all finite.
    fn elements(&self, key: &str) -> Result<Vec<f32>, AdapterError> {
        let elements = self.adapter.elements(self.stored(key)?);
        match elements.iter().position(|x| !x.is_finite()) {
            None => Ok(elements),
            Some(index) => {
                Err(AdapterError::NotFinite { path: self.path(), key: key.to_owned(), index })
            }
        }
    }

    fn replacement(
        &self,
        key: &str,
        name: &str,
        shape: &[usize],
    ) -> Result<Replacement, AdapterError> {
        let TensorShape { shape: found, dtype } = &self.stored(key)?.shape;
        if found != shape {
            return Err(self.wrong_shape(key, found.clone(), name, shape));
        }
        self.elements(key)?;
        let (file, bytes) = (Arc::clone(&self.adapter.file), self.stored(key)?.bytes.clone());
        let shape = TensorShape { shape: found.clone(), dtype: *dtype };
        let stored = StoredTensor { shape, file: 0, bytes };
        Ok(Replacement { file, stored, low_rank: None })
    }

    fn low_rank(
        &self,
        module: &str,
        factors: &Factors,
        name: &str,
        shape: &[usize],
    ) -> Result<LowRank, AdapterError> {
        let [a_rank, fan_in] = self.matrix(&factors.a)?;
        let [fan_out, b_rank] = self.matrix(&factors.b)?;
        let rank = self.adapter.config.rank(module);
        self.require_rank(&factors.a, a_rank, rank)?;
        self.require_rank(&factors.b, b_rank, rank)?;
        let fits = |rows: usize, columns: usize| shape == [rows, columns];
        let (straight, transposed) = match factors.embedding {
            true => (false, fits(fan_in, fan_out)),
            false => (fits(fan_out, fan_in), fits(fan_in, fan_out)),
        };
        if !straight && !transposed {
            return Err(self.wrong_shape(&factors.a, vec![fan_out, fan_in], name, shape));
        }
        let (a, b) = (self.elements(&factors.a)?, self.elements(&factors.b)?);
        let scale = self.adapter.config.scale(module) as f32;
        if transposed && (!straight || self.square_is_transposed) {
            return Ok(LowRank::transposed(&a, &b, rank, scale));
        }
        Ok(LowRank::new(a, b, rank, scale))
    }

    /// `scale` times B's bias, as one row.
    fn bias(
        &self,
        module: &str,
        key: &str,
        name: &str,
        shape: &[usize],
    ) -> Result<LowRank, AdapterError> {
        let found = &self.stored(key)?.shape.shape;
        if found != shape || shape.len() != 1 {
            return Err(self.wrong_shape(key, found.clone(), name, shape));
        }
        let scale = self.adapter.config.scale(module) as f32;
        Ok(LowRank::new(self.elements(key)?, vec![1.0], 1, scale))
    }

    fn matrix(&self, key: &str) -> Result<[usize; 2], AdapterError> {
        let shape = &self.stored(key)?.shape.shape;
        match shape.as_slice() {
            [rows, columns] if *rows > 0 && *columns > 0 => Ok([*rows, *columns]),
            _ => Err(AdapterError::NotAMatrix {
                path: self.path(),
                key: key.to_owned(),
                shape: shape.clone(),
            }),
        }
    }

    fn require_rank(&self, key: &str, found: usize, expected: usize) -> Result<(), AdapterError> {
        if found == expected {
            return Ok(());
        }
        Err(AdapterError::Rank { path: self.path(), key: key.to_owned(), found, expected })
    }

    fn wrong_shape(
        &self,
        key: &str,
        shape: Vec<usize>,
        weight: &str,
        base_shape: &[usize],
    ) -> AdapterError {
        let found =
            |file: &Path, shape| Box::new(Found { file: file.to_owned(), shape: Some(shape) });
        AdapterError::Shape {
            key: key.to_owned(),
            weight: weight.to_owned(),
            adapter: found(&self.adapter.file.path, shape),
            base: found(&self.base.dir, base_shape.to_owned()),
        }
    }

    /// A weight that is saved whole may have factors too: an embedding under LoRA is saved with its base layer.
    fn insert(
        &self,
        changes: &mut Changes,
        name: &str,
        key: &str,
        change: Change,
    ) -> Result<(), AdapterError> {
        match (changes.get_mut(name), change) {
            (None, change) => {
                changes.insert(name.to_owned(), (key.to_owned(), change));
                Ok(())
            }
            (Some((_, Change::Replace(whole))), Change::LowRank(factors))
                if whole.low_rank.is_none() =>
            {
                whole.low_rank = Some(factors);
                Ok(())
            }
            (Some((first, _)), _) => Err(duplicate(&self.adapter.file.path, first, key)),
        }
    }
}
