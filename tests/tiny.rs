//! Tiny checkpoints on disk, for the tests of the merge column.

use std::fs;
use std::path::Path;

use merge_search::checkpoint::Checkpoint;
use merge_search::merge::{MergePlan, MergedTensor};
use merge_search::recipe::ModelRef;
use merge_search::submission::Output;
use merge_search::units::Bytes;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;

pub fn tensor(name: &str, shape: &[usize], values: Vec<f32>) -> MergedTensor {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
    MergedTensor { name: name.to_owned(), shape: shape.to_vec(), values }
}

/// A `model.safetensors` in float32 and a `config.json`.
pub fn write(dir: &Path, config: &Value, tensors: &[MergedTensor]) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    fs::write(dir.join("model.safetensors"), singles(tensors)).unwrap();
}

/// The bytes of a safetensors file.
pub fn singles(tensors: &[MergedTensor]) -> Vec<u8> {
    let bytes = |tensor: &MergedTensor| -> Vec<u8> {
        tensor.values.iter().flat_map(|x| x.to_le_bytes()).collect()
    };
    let all: Vec<Vec<u8>> = tensors.iter().map(bytes).collect();
    let views = tensors.iter().zip(&all).map(|(tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).unwrap();
        (tensor.name.as_str(), view)
    });
    serialize(views, None).unwrap()
}

/// A safetensors file in order of the names, elements in `f32`.
pub fn stored(path: &Path) -> Vec<MergedTensor> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, TensorView)| {
        let values = match view.dtype() {
            Dtype::F32 => {
                (view.data().as_chunks().0.iter()).map(|b| f32::from_le_bytes(*b)).collect()
            }
            Dtype::BF16 => (view.data().as_chunks().0.iter())
                .map(|b| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16))
                .collect(),
            other => panic!("{other:?}"),
        };
        MergedTensor { name, shape: view.shape().to_vec(), values }
    };
    let mut tensors: Vec<MergedTensor> = file.tensors().into_iter().map(tensor).collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

pub fn borrowed(models: &[(ModelRef, Checkpoint)]) -> Vec<(ModelRef, &Checkpoint)> {
    models.iter().map(|(model, checkpoint)| (model.clone(), checkpoint)).collect()
}

/// A tensor put together from parts of `part` elements, a multiple of 1024, the last one first.
pub fn merged_in_parts(plan: &MergePlan, tensor: usize, part: usize) -> Vec<f32> {
    let tensor = &plan.tensors()[tensor];
    let fill = plan.in_parts(tensor).unwrap();
    let mut merged = vec![f32::NAN; tensor.elements()];
    for (number, out) in merged.chunks_mut(part).enumerate().rev() {
        fill(number * part, out);
    }
    merged
}

pub fn output(dir: &Path, shard_size: u64) -> Output<'_> {
    Output { dir, card: "card", shard_size: Bytes(shard_size), progress: &|_| {} }
}

/// With every cause, as the command line shows it.
pub fn message(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", message(source)),
        None => error.to_string(),
    }
}

/// Numbers of -2 to 2, never -0, the same for the same seed (SplitMix64).
pub fn noise(seed: u64, count: usize) -> Vec<f32> {
    let number = |i: u64| {
        let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 22) as f32 - 2.0 + 0.0
    };
    (0..count as u64).map(number).collect()
}
