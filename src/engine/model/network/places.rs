//! The memory of a network's weights, and how a checkpoint's tensors get there.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Tensor};

use super::sharing::Lent;
use crate::model::layers::{Linear, Matrix, Norm, Precision, contiguous_mut};
use crate::model::spec::{LinearSpec, MatrixSpec, NormSpec, Placement, VectorSpec};

/// The first point of a decoder at which a tensor matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Before the first layer; anything of an encoder too.
    Before,
    /// In this layer of the decoder.
    Layer(usize),
    /// Behind the last layer.
    After,
}

/// One tensor of the checkpoint.
#[derive(Clone)]
pub(super) struct Stored {
    pub shape: Vec<usize>,
    pub depth: Depth,
    /// One per tensor, of any network, that has this memory.
    pub owners: Arc<()>,
    places: Vec<Place>,
}

/// Where a part of a tensor goes.
#[derive(Clone)]
enum Place {
    Matrix { matrix: Matrix, placement: Placement, total: usize },
    Vector { vector: Tensor, placement: Placement, plus: f32 },
}

/// All tensors by name.
pub(super) type Places = BTreeMap<String, Stored>;

impl Stored {
    /// `values`: the whole tensor, row-major.
    pub fn write(&self, values: &[f32]) -> Result<()> {
        let expected: usize = self.shape.iter().product();
        if values.len() != expected {
            candle_core::bail!("expected {expected} values, got {}", values.len());
        }
        if self.is_shared() {
            candle_core::bail!("another network has the same memory");
        }
        self.places.iter().try_for_each(|place| place.write(values))
    }

    /// Whether another network has it too.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.owners) > 1
    }

    /// The memory of such a matrix.
    pub fn matrix(&self, spec: &MatrixSpec, precision: Precision) -> Option<&Matrix> {
        let wanted = (spec.outputs, spec.inputs, precision, spec.placement);
        self.places.iter().find_map(|place| match place {
            Place::Matrix { matrix, placement, .. } => {
                let own = (matrix.outputs(), matrix.inputs(), matrix.precision(), *placement);
                (own == wanted && self.shape == spec.shape).then_some(matrix)
            }
            Place::Vector { .. } => None,
        })
    }

    /// The memory of such a vector.
    pub fn vector(&self, spec: &VectorSpec) -> Option<&Tensor> {
        self.places.iter().find_map(|place| match place {
            Place::Vector { vector, placement, plus } => {
                let same = (*placement, plus.to_bits()) == (spec.placement, spec.plus.to_bits());
                let same = same && self.shape == spec.shape && vector.elem_count() == spec.length;
                same.then_some(vector)
            }
            Place::Matrix { .. } => None,
        })
    }
}

impl Place {
    fn write(&self, values: &[f32]) -> Result<()> {
        match self {
            Place::Matrix { matrix, placement, total } => {
                let inputs = matrix.inputs();
                let at = |output| placement.first_element(output, inputs);
                matrix.write_from(values, at, placement.stride(*total))
            }
            Place::Vector { vector, placement, plus } => {
                vector.inplace_op1(&Overwrite(|out: &mut [f32]| {
                    for (index, out) in out.iter_mut().enumerate() {
                        *out = values[placement.first_element(index, 1)] + plus;
                    }
                }))
            }
        }
    }
}

/// Lets a function write a contiguous tensor.
struct Overwrite<F>(F);

impl<F: Fn(&mut [f32])> InplaceOp1 for Overwrite<F> {
    fn name(&self) -> &'static str {
        "overwrite"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        (self.0)(contiguous_mut(storage, layout)?);
        Ok(())
    }
}

/// Allocates weights and notes where they come from. A matrix that is asked for twice is the same memory.
pub(super) struct Builder {
    pub places: Places,
    /// Of what is being built.
    pub depth: Depth,
    /// Memory of the matrices of its own; vectors are nothing beside it.
    pub bytes: usize,
    precision: Precision,
    matrices: BTreeMap<(String, Placement), Matrix>,
    lent: Lent,
    /// Bytes of what is lent, by memory.
    borrowed: BTreeMap<(usize, Placement), usize>,
}

impl Builder {
    /// `lent`: tensors that are not allocated.
    pub fn new(precision: Precision, lent: Lent) -> Self {
        Builder {
            places: Places::new(),
            depth: Depth::Before,
            bytes: 0,
            precision,
            matrices: BTreeMap::new(),
            lent,
            borrowed: BTreeMap::new(),
        }
    }

    /// Memory of the matrices that are lent, each once.
    pub fn shared_bytes(&self) -> usize {
        self.borrowed.values().sum()
    }

    pub fn matrix(&mut self, spec: &MatrixSpec) -> Result<Matrix> {
        self.matrix_in(spec, self.precision)
    }

    /// In float32 whatever the precision of the others.
    pub fn exact_matrix(&mut self, spec: &MatrixSpec) -> Result<Matrix> {
        self.matrix_in(spec, Precision::F32)
    }

    fn matrix_in(&mut self, spec: &MatrixSpec, precision: Precision) -> Result<Matrix> {
        let key = (spec.tensor.clone(), spec.placement);
        if let Some(matrix) = self.matrices.get(&key) {
            return Ok(matrix.clone());
        }
        let lent = self.lent.get(&spec.tensor);
        let matrix = match lent.and_then(|lent| Some((lent, lent.matrix(spec, precision)?))) {
            Some((lent, matrix)) => {
                let memory = (Arc::as_ptr(&lent.owners) as usize, spec.placement);
                self.borrowed.insert(memory, matrix.bytes());
                matrix.clone()
            }
            None => {
                let matrix = Matrix::zeros(spec.outputs, spec.inputs, precision)?;
                self.bytes += matrix.bytes();
                matrix
            }
        };
        self.matrices.insert(key, matrix.clone());
        let total = spec.shape.iter().product::<usize>() / spec.inputs.max(1);
        let place = Place::Matrix { matrix: matrix.clone(), placement: spec.placement, total };
        self.place(&spec.tensor, &spec.shape, place);
        Ok(matrix)
    }

    pub fn vector(&mut self, spec: &VectorSpec) -> Result<Tensor> {
        let vector = Tensor::zeros(spec.length, candle_core::DType::F32, &Device::Cpu)?;
        self.place_vector(spec, vector.clone())?;
        Ok(vector)
    }

    /// Biases stand side by side in one vector, so that what is lent is copied; it cannot change as long as it is lent.
    fn place_vector(&mut self, spec: &VectorSpec, vector: Tensor) -> Result<()> {
        if let Some(lent) = self.lent.get(&spec.tensor).and_then(|lent| lent.vector(spec)) {
            let values = lent.to_vec1::<f32>()?;
            vector.inplace_op1(&Overwrite(|out: &mut [f32]| out.copy_from_slice(&values)))?;
        }
        let place = Place::Vector { vector, placement: spec.placement, plus: spec.plus };
        self.place(&spec.tensor, &spec.shape, place);
        Ok(())
    }

    fn place(&mut self, tensor: &str, shape: &[usize], place: Place) {
        let depth = self.depth;
        let stored = self.places.entry(tensor.to_owned());
        let owners = || self.lent.get(tensor).map(|lent| Arc::clone(&lent.owners));
        let new = || Stored {
            shape: shape.to_vec(),
            depth,
            owners: owners().unwrap_or_default(),
            places: Vec::new(),
        };
        stored.or_insert_with(new).places.push(place);
    }

    /// Matrices over the same input; either all have a bias or none.
    pub fn joined(&mut self, specs: &[&LinearSpec]) -> Result<Linear> {
        let parts =
            specs.iter().map(|spec| self.matrix(&spec.weight)).collect::<Result<Vec<_>>>()?;
        if specs.iter().all(|spec| spec.bias.is_none()) {
            return Ok(Linear { parts, bias: None });
        }
        let width: usize = specs.iter().map(|spec| spec.weight.outputs).sum();
        let bias = Tensor::zeros(width, candle_core::DType::F32, &Device::Cpu)?;
        let mut first = 0;
        for spec in specs {
            if let Some(vector) = &spec.bias {
                self.place_vector(vector, bias.narrow(0, first, spec.weight.outputs)?)?;
            }
            first += spec.weight.outputs;
        }
        Ok(Linear { parts, bias: Some(bias) })
    }

    pub fn linear(&mut self, spec: &LinearSpec) -> Result<Linear> {
        self.joined(&[spec])
    }

    pub fn norm(&mut self, spec: &NormSpec) -> Result<Norm> {
        Ok(Norm {
            kind: spec.kind,
            weight: self.vector(&spec.weight)?,
            bias: spec.bias.as_ref().map(|bias| self.vector(bias)).transpose()?,
            epsilon: spec.epsilon,
        })
    }
}
