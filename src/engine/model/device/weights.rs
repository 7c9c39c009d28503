//! The weights in the device's memory, and how a checkpoint's tensors get there.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::model::parts::{self, Part};
use crate::model::spec::{MatrixSpec, NetworkSpec, Placement, VectorSpec};

/// All weights by the names of the checkpoint's tensors.
pub(super) struct Weights {
    tensors: BTreeMap<String, Stored>,
    pub device: Device,
    /// Of matrices and activations.
    pub dtype: DType,
}

/// One tensor of the checkpoint.
struct Stored {
    shape: Vec<usize>,
    places: Vec<Place>,
}

/// Where a part of it goes.
struct Place {
    /// `[outputs, inputs]`, or a vector `[outputs]`.
    weight: Tensor,
    placement: Placement,
    plus: f32,
}

impl Weights {
    /// All zero.
    pub fn new(spec: &NetworkSpec, device: &Device, dtype: DType) -> Result<Self> {
        let device = device.clone();
        let mut weights = Weights { tensors: BTreeMap::new(), device, dtype };
        for part in parts::of(spec) {
            match part {
                Part::Matrix(matrix) => weights.add_matrix(matrix, dtype)?,
                Part::ScoreTable(matrix) => weights.add_matrix(matrix, DType::F32)?,
                Part::Bias(vector) => weights.add_vector(vector, dtype)?,
                Part::Norm(vector) => weights.add_vector(vector, DType::F32)?,
            }
        }
        Ok(weights)
    }

    /// Names and shapes in the checkpoint.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, stored)| (name.as_str(), stored.shape.as_slice()))
    }

    /// Memory in bytes.
    pub fn bytes(&self) -> usize {
        let places = self.tensors.values().flat_map(|stored| &stored.places);
        places.map(|place| place.weight.elem_count() * place.weight.dtype().size_in_bytes()).sum()
    }

    /// See [`super::DeviceNetwork::write`].
    pub fn write(&self, tensor: &str, values: &[f32]) -> Result<bool> {
        let Some(stored) = self.tensors.get(tensor) else { return Ok(false) };
        let expected: usize = stored.shape.iter().product();
        if values.len() != expected {
            bail!("{tensor}: expected {expected} values, got {}", values.len());
        }
        stored.places.iter().try_for_each(|place| place.write(values))?;
        Ok(true)
    }

    /// `[outputs, inputs]`.
    pub fn matrix(&self, spec: &MatrixSpec) -> Result<&Tensor> {
        self.weight(&spec.tensor, spec.placement, 2)
    }

    /// `[length]`.
    pub fn vector(&self, spec: &VectorSpec) -> Result<&Tensor> {
        self.weight(&spec.tensor, spec.placement, 1)
    }

    fn weight(&self, tensor: &str, placement: Placement, rank: usize) -> Result<&Tensor> {
        let found = self.tensors.get(tensor).and_then(|stored| stored.find(placement, rank));
        found.ok_or_else(|| candle_core::Error::Msg(format!("the network has no {tensor}")))
    }

    fn add_matrix(&mut self, spec: &MatrixSpec, dtype: DType) -> Result<()> {
        let device = self.device.clone();
        self.add(&spec.tensor, &spec.shape, (spec.placement, 2), || {
            let weight = Tensor::zeros((spec.outputs, spec.inputs), dtype, &device)?;
            Ok(Place { weight, placement: spec.placement, plus: 0.0 })
        })
    }

    fn add_vector(&mut self, spec: &VectorSpec, dtype: DType) -> Result<()> {
        let device = self.device.clone();
        self.add(&spec.tensor, &spec.shape, (spec.placement, 1), || {
            let weight = Tensor::zeros(spec.length, dtype, &device)?;
            Ok(Place { weight, placement: spec.placement, plus: spec.plus })
        })
    }

    /// A weight that is used twice is the same memory.
    fn add(
        &mut self,
        tensor: &str,
        shape: &[usize],
        (placement, rank): (Placement, usize),
        place: impl FnOnce() -> Result<Place>,
    ) -> Result<()> {
        let stored = self.tensors.entry(tensor.to_owned());
        let stored = stored.or_insert_with(|| Stored { shape: shape.to_vec(), places: Vec::new() });
        if stored.find(placement, rank).is_none() {
            stored.places.push(place()?);
        }
        Ok(())
    }
}

impl Stored {
    fn find(&self, placement: Placement, rank: usize) -> Option<&Tensor> {
        let same = |place: &&Place| place.placement == placement && place.weight.rank() == rank;
        self.places.iter().find(same).map(|place| &place.weight)
    }
}

impl Place {
    /// `values`: the whole tensor. The copy crosses to the device in float32 and is rounded there.
    fn write(&self, values: &[f32]) -> Result<()> {
        let (outputs, inputs) = match *self.weight.dims() {
            [outputs, inputs] => (outputs, inputs),
            _ => (self.weight.elem_count(), 1),
        };
        let stride = self.placement.stride(values.len() / inputs.max(1));
        let mut rows = Vec::with_capacity(outputs * inputs);
        for output in 0..outputs {
            let first = self.placement.first_element(output, inputs);
            match (stride, values.get(first..first + inputs)) {
                (1, Some(row)) => rows.extend_from_slice(row),
                _ => rows.extend(values.iter().skip(first).step_by(stride).take(inputs)),
            }
        }
        if self.plus != 0.0 {
            rows.iter_mut().for_each(|value| *value += self.plus);
        }
        let rows = Tensor::from_vec(rows, self.weight.shape(), self.weight.device())?;
        self.weight.slice_set(&rows.to_dtype(self.weight.dtype())?, 0, 0)
    }
}
