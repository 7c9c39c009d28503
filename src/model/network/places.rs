//! The memory of a network's weights, and how a checkpoint's tensors get there.

use std::collections::BTreeMap;

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Tensor};

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
pub(super) struct Stored {
    pub shape: Vec<usize>,
    pub depth: Depth,
    places: Vec<Place>,
}

/// Where a part of a tensor goes.
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
        self.places.iter().try_for_each(|place| place.write(values))
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
    precision: Precision,
    matrices: BTreeMap<(String, Placement), Matrix>,
}

impl Builder {
    pub fn new(precision: Precision) -> Self {
        let (places, matrices) = (Places::new(), BTreeMap::new());
        Builder { places, depth: Depth::Before, precision, matrices }
    }

    /// Memory of the matrices; vectors are nothing beside it.
    pub fn bytes(&self) -> usize {
        self.matrices.values().map(Matrix::bytes).sum()
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
        let matrix = Matrix::zeros(spec.outputs, spec.inputs, precision)?;
        self.matrices.insert(key, matrix.clone());
        let total = spec.shape.iter().product::<usize>() / spec.inputs.max(1);
        let place = Place::Matrix { matrix: matrix.clone(), placement: spec.placement, total };
        self.place(&spec.tensor, &spec.shape, place);
        Ok(matrix)
    }

    pub fn vector(&mut self, spec: &VectorSpec) -> Result<Tensor> {
        let vector = Tensor::zeros(spec.length, candle_core::DType::F32, &Device::Cpu)?;
        self.place_vector(spec, vector.clone());
        Ok(vector)
    }

    fn place_vector(&mut self, spec: &VectorSpec, vector: Tensor) {
        let place = Place::Vector { vector, placement: spec.placement, plus: spec.plus };
        self.place(&spec.tensor, &spec.shape, place);
    }

    fn place(&mut self, tensor: &str, shape: &[usize], place: Place) {
        let depth = self.depth;
        let stored = self.places.entry(tensor.to_owned());
        let new = || Stored { shape: shape.to_vec(), depth, places: Vec::new() };
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
                self.place_vector(vector, bias.narrow(0, first, spec.weight.outputs)?);
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
