//! The header of a GGUF file: typed metadata, and where each tensor lies.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian. Nothing is
//! allocated for a length that the file merely claims to have.

use std::collections::BTreeMap;

use candle_core::quantized::GgmlDType;
use serde_json::{Number, Value};

use super::GgufFault;

const MAGIC: &[u8] = b"GGUF";
const DEFAULT_ALIGNMENT: u64 = 32;
/// Longest array that is kept: a vocabulary 16 times the largest there is.
const LONGEST_ARRAY: u64 = 1 << 22;
/// Arrays in arrays; the format sets no limit, and no file nests them.
const DEEPEST_ARRAY: usize = 4;
/// ggml's own limit.
const MOST_AXES: u32 = 4;

/// What stands before the tensors.
#[derive(Debug)]
pub(super) struct Header {
    pub metadata: BTreeMap<String, Value>,
    pub tensors: BTreeMap<String, Stored>,
}

/// A tensor of the file. Its elements are inside the file and whole blocks.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// Outermost axis first.
    pub shape: Vec<usize>,
    pub kind: GgmlDType,
    /// Where the elements begin, from the start of the file.
    pub start: usize,
    pub elements: usize,
}

impl Header {
    /// Reads the header of a whole file.
    pub fn read(file: &[u8]) -> Result<Self, GgufFault> {
        let mut cursor = Cursor { rest: file };
        let found = cursor.bytes(4, "the first four bytes")?;
        if found != MAGIC {
            return Err(GgufFault::NotGguf { found: found.to_vec() });
        }
        let version = cursor.u32("the version")?;
        if !(2..=3).contains(&version) {
            return Err(GgufFault::Version { version });
        }
        let tensors = cursor.u64("the number of tensors")?;
        let entries = cursor.u64("the number of metadata entries")?;
        let metadata = cursor.metadata(entries)?;
        let declared = cursor.tensors(tensors)?;
        let alignment = alignment(&metadata)?;
        let begin = ((file.len() - cursor.rest.len()) as u64).next_multiple_of(alignment);
        let place = |(name, tensor): (String, Declared)| {
            let stored = tensor.place(&name, begin, file.len() as u64)?;
            Ok((name, stored))
        };
        let tensors = declared.into_iter().map(place).collect::<Result<_, GgufFault>>()?;
        Ok(Header { metadata, tensors })
    }
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, GgufFault> {
    const KEY: &str = "general.alignment";
    let Some(value) = metadata.get(KEY) else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    match value.as_u64() {
        Some(alignment) if alignment.is_power_of_two() && alignment <= 1 << 20 => Ok(alignment),
        _ => Err(GgufFault::Invalid {
            key: KEY.to_owned(),
            value: Box::new(value.clone()),
            expected: "a power of two up to 2^20".to_owned(),
        }),
    }
}

/// A tensor as the header states it.
struct Declared {
    /// Outermost axis first.
    shape: Vec<u64>,
    kind: u32,
    /// From the beginning of all elements.
    offset: u64,
}

impl Declared {
    fn place(&self, name: &str, begin: u64, file: u64) -> Result<Stored, GgufFault> {
        let tensor = || name.to_owned();
        let kind = element_kind(self.kind)
            .ok_or_else(|| GgufFault::TensorKind { tensor: tensor(), kind: self.kind })?;
        let block = kind.block_size();
        let wrong =
            || GgufFault::TensorShape { tensor: tensor(), shape: self.shape.clone(), block };
        let elements = (self.shape.iter())
            .try_fold(1u64, |product, axis| product.checked_mul(*axis))
            .filter(|elements| *elements > 0)
            .ok_or_else(wrong)?;
        if !self.shape.last().is_some_and(|row| row.is_multiple_of(block as u64)) {
            return Err(wrong());
        }
        let bytes = (elements / block as u64).checked_mul(kind.type_size() as u64);
        let start = begin.checked_add(self.offset);
        let end = start.zip(bytes).and_then(|(start, bytes)| start.checked_add(bytes));
        match (start, end) {
            // What lies inside the mapped file is counted by usize.
            (Some(start), Some(end)) if end <= file => Ok(Stored {
                shape: self.shape.iter().map(|axis| *axis as usize).collect(),
                kind,
                start: start as usize,
                elements: elements as usize,
            }),
            _ => Err(GgufFault::TensorOutside { tensor: tensor() }),
        }
    }
}

/// The types that stand in files (`enum ggml_type`). Q8_1 and Q8_K are for ggml's products only.
fn element_kind(number: u32) -> Option<GgmlDType> {
    Some(match number {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

/// What has not been read yet.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn bytes(&mut self, count: u64, place: &str) -> Result<&'a [u8], GgufFault> {
        let split = usize::try_from(count).ok().and_then(|at| self.rest.split_at_checked(at));
        let (taken, rest) =
            split.ok_or_else(|| GgufFault::Truncated { place: place.to_owned() })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, place: &str) -> Result<[u8; N], GgufFault> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| GgufFault::Truncated { place: place.to_owned() })?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u32(&mut self, place: &str) -> Result<u32, GgufFault> {
        self.array(place).map(u32::from_le_bytes)
    }

    fn u64(&mut self, place: &str) -> Result<u64, GgufFault> {
        self.array(place).map(u64::from_le_bytes)
    }

    fn text(&mut self, place: &str) -> Result<String, GgufFault> {
        let length = self.u64(place)?;
        let bytes = self.bytes(length, place)?;
        let text = std::str::from_utf8(bytes);
        Ok(text.map_err(|_| GgufFault::Text { place: place.to_owned() })?.to_owned())
    }

    fn metadata(&mut self, entries: u64) -> Result<BTreeMap<String, Value>, GgufFault> {
        let mut metadata = BTreeMap::new();
        for entry in 0..entries {
            let key = self.text(&format!("the name of metadata entry {entry} of {entries}"))?;
            let place = format!("metadata `{key}`");
            let kind = self.u32(&place)?;
            let value = self.value(kind, &key, &place, 0)?;
            if metadata.insert(key, value).is_some() {
                return Err(GgufFault::Twice { place });
            }
        }
        Ok(metadata)
    }

    fn value(
        &mut self,
        kind: u32,
        key: &str,
        place: &str,
        depth: usize,
    ) -> Result<Value, GgufFault> {
        Ok(match kind {
            0 => self.array::<1>(place)?[0].into(),
            1 => i8::from_le_bytes(self.array(place)?).into(),
            2 => u16::from_le_bytes(self.array(place)?).into(),
            3 => i16::from_le_bytes(self.array(place)?).into(),
            4 => self.u32(place)?.into(),
            5 => i32::from_le_bytes(self.array(place)?).into(),
            6 => single(f32::from_le_bytes(self.array(place)?)),
            7 => (self.array::<1>(place)?[0] != 0).into(),
            8 => self.text(place)?.into(),
            9 if depth < DEEPEST_ARRAY => self.list(key, place, depth)?,
            10 => self.u64(place)?.into(),
            11 => i64::from_le_bytes(self.array(place)?).into(),
            12 => f64::from_le_bytes(self.array(place)?).into(),
            kind => return Err(GgufFault::ValueKind { key: key.to_owned(), kind }),
        })
    }

    fn list(&mut self, key: &str, place: &str, depth: usize) -> Result<Value, GgufFault> {
        let kind = self.u32(place)?;
        let length = self.u64(place)?;
        if length > LONGEST_ARRAY {
            let longest = LONGEST_ARRAY;
            return Err(GgufFault::TooLong { place: place.to_owned(), length, longest });
        }
        (0..length).map(|_| self.value(kind, key, place, depth + 1)).collect()
    }

    fn tensors(&mut self, count: u64) -> Result<BTreeMap<String, Declared>, GgufFault> {
        let mut tensors = BTreeMap::new();
        for number in 0..count {
            let name = self.text(&format!("the name of tensor {number} of {count}"))?;
            let place = format!("the shape of tensor {name}");
            let axes = self.u32(&place)?;
            if axes > MOST_AXES {
                let (length, longest) = (axes.into(), MOST_AXES.into());
                return Err(GgufFault::TooLong { place, length, longest });
            }
            let mut shape = (0..axes).map(|_| self.u64(&place)).collect::<Result<Vec<_>, _>>()?;
            // ggml counts axes from the innermost.
            shape.reverse();
            let tensor = Declared { shape, kind: self.u32(&place)?, offset: self.u64(&place)? };
            if tensors.insert(name, tensor).is_some() {
                return Err(GgufFault::Twice { place });
            }
        }
        Ok(tensors)
    }
}

/// As the shortest decimal that gives the same `f32`: 1e-5, not 9.999999747378752e-6. `null` where it is no number.
fn single(value: f32) -> Value {
    let shortest = value.to_string().parse::<f64>().ok();
    shortest.and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}
