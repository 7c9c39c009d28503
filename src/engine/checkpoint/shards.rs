//! Which tensors stand in which file of a checkpoint, and where.

use serde_json::{Map, Value, json};

use crate::units::{Bytes, Dtype};

/// The entry of a safetensors header that is no tensor.
pub(super) const METADATA: &str = "__metadata__";

/// A tensor to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputTensor {
    /// Name in the file.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// What its elements are stored as.
    pub dtype: Dtype,
}

impl OutputTensor {
    /// Product of the shape.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    fn bytes(&self) -> u64 {
        (self.elements() * self.dtype.size()) as u64
    }
}

/// One file.
#[derive(Debug)]
pub(super) struct Shard {
    /// Name of the file.
    pub(super) file: String,
    /// Length, JSON and padding: what stands before the elements.
    pub(super) header: Vec<u8>,
    /// Of all elements.
    pub(super) bytes: Bytes,
    /// Index of each tensor, and where its elements begin behind the header.
    pub(super) places: Vec<(usize, u64)>,
}

/// Fills file after file up to `size`, in the order of the tensors.
pub(super) fn shards(tensors: &[OutputTensor], size: Bytes) -> Vec<Shard> {
    let mut groups: Vec<Vec<usize>> = vec![Vec::new()];
    let mut bytes = 0;
    for (i, tensor) in tensors.iter().enumerate() {
        let last = groups.len() - 1;
        if bytes + tensor.bytes() > size.0 && !groups[last].is_empty() {
            groups.push(vec![i]);
            bytes = tensor.bytes();
        } else {
            groups[last].push(i);
            bytes += tensor.bytes();
        }
    }
    let count = groups.len();
    let name = |number: usize| match count {
        1 => "model.safetensors".to_owned(),
        _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
    };
    groups.iter().enumerate().map(|(i, group)| shard(tensors, group, name(i))).collect()
}

/// The format asks for elements without gaps, and readers like them aligned: wide types first.
fn shard(tensors: &[OutputTensor], group: &[usize], file: String) -> Shard {
    let mut order = group.to_vec();
    order.sort_by_key(|i| std::cmp::Reverse(tensors[*i].dtype.size()));
    let mut entries = Map::new();
    entries.insert(METADATA.to_owned(), json!({"format": "pt"}));
    let (mut places, mut start) = (Vec::new(), 0);
    for i in order {
        let tensor = &tensors[i];
        let end = start + tensor.bytes();
        let dtype = tensor.dtype.stored_name();
        let entry = json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [start, end]});
        entries.insert(tensor.name.clone(), entry);
        places.push((i, start));
        start = end;
    }
    Shard { file, header: header(&Value::Object(entries)), bytes: Bytes(start), places }
}

fn header(entries: &Value) -> Vec<u8> {
    let mut text = entries.to_string();
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    let length = text.len() as u64;
    [length.to_le_bytes().as_slice(), text.as_bytes()].concat()
}

/// `model.safetensors.index.json`; `None` for a single file.
pub(super) fn index(tensors: &[OutputTensor], shards: &[Shard]) -> Option<Value> {
    if shards.len() == 1 {
        return None;
    }
    let mut files = Map::new();
    for shard in shards {
        for (tensor, _) in &shard.places {
            files.insert(tensors[*tensor].name.clone(), json!(shard.file));
        }
    }
    let total: u64 = shards.iter().map(|shard| shard.bytes.0).sum();
    Some(json!({"metadata": {"total_size": total}, "weight_map": files}))
}
