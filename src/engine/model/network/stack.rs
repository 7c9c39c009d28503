//! Embedding and layers one after another.

use candle_core::{Device, Result, Tensor};

use super::attention::Rows;
use super::embedding::Embedding;
use super::layer::{Layer, Surroundings};
use super::pass::{Scratch, Tables};
use super::places::{Builder, Depth};
use crate::model::layers::{Matrix, Norm, RelativeBias, Rotary};
use crate::model::spec::{PositionsSpec, RotarySpec, StackSpec};

pub(super) struct Stack {
    pub embedding: Embedding,
    pub layers: Vec<Layer>,
    norm: Option<Norm>,
    rotary: Option<RotarySpec>,
    relative: Option<Relative>,
}

/// The learned table of T5 and how it is read.
struct Relative {
    table: Matrix,
    heads: usize,
    buckets: usize,
    max_distance: usize,
    bidirectional: bool,
}

/// Where a run through the layers begins and which layer's input it keeps.
pub(super) struct Course {
    pub first: usize,
    pub keep: Option<usize>,
    /// The layer before which it ends; what it reads is then returned, all rows of it and not normalised.
    pub stop: Option<usize>,
}

impl Stack {
    /// `counted`: whether its layers are depths of the network; an encoder's are all before the decoder's first.
    pub fn new(spec: &StackSpec, builder: &mut Builder, counted: bool) -> Result<Self> {
        let embedding = Embedding::new(&spec.embedding, builder)?;
        let first = spec.layers.first().map(|layer| &layer.attention);
        let relative = match first.map(|attention| (&attention.positions, attention.heads)) {
            Some((
                PositionsSpec::Relative { table, buckets, max_distance, bidirectional },
                heads,
            )) => Some(Relative {
                table: builder.exact_matrix(table)?,
                heads,
                buckets: *buckets,
                max_distance: *max_distance,
                bidirectional: *bidirectional,
            }),
            _ => None,
        };
        let rotary = match first.map(|attention| &attention.positions) {
            Some(PositionsSpec::Rotary(rotary)) => Some(rotary.clone()),
            _ => None,
        };
        let mut layers: Vec<Layer> = Vec::with_capacity(spec.layers.len());
        for (number, layer) in spec.layers.iter().enumerate() {
            if counted {
                builder.depth = Depth::Layer(number);
            }
            // ALBERT's layers are the same weights again.
            let same = spec.layers[..number].iter().position(|earlier| earlier == layer);
            let layer = match same {
                Some(same) => layers[same].clone(),
                None => Layer::new(layer, builder)?,
            };
            layers.push(layer);
        }
        if counted {
            builder.depth = Depth::After;
        }
        let norm = spec.norm.as_ref().map(|norm| builder.norm(norm)).transpose()?;
        Ok(Stack { embedding, layers, norm, rotary, relative })
    }

    /// Width of the residual stream.
    pub fn hidden(&self) -> Option<usize> {
        self.layers.first().map(|layer| layer.attention.output.outputs())
    }

    /// For texts of up to `longest` tokens.
    pub fn tables(&self, longest: usize) -> Result<Tables> {
        let rotary = self
            .rotary
            .as_ref()
            .map(|spec| Rotary::from_frequencies(&spec.inverse_frequencies, spec.factor, longest));
        let relative = self.relative.as_ref().map(|relative| relative.bias(longest)).transpose()?;
        Ok(Tables { rotary, relative })
    }

    /// Through the layers from `course.first` on. `x`: that layer's input, `[tokens, hidden]`, overwritten. Only `rows` are
    /// computed in the last layer and returned, normalised. Second: the input that was to be kept.
    pub fn forward(
        &self,
        mut x: Tensor,
        course: &Course,
        rows: &[usize],
        around: &Surroundings,
        scratch: &mut Scratch,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let every: Vec<usize> = (0..x.dim(0)?).collect();
        let index = Tensor::from_iter(rows.iter().map(|&row| row as u32), &Device::Cpu)?;
        let mut kept = None;
        for (number, layer) in self.layers.iter().enumerate().skip(course.first) {
            if course.stop == Some(number) {
                return Ok((x, kept));
            }
            if course.keep == Some(number) {
                kept = Some(x.copy()?);
            }
            let last = number + 1 == self.layers.len()
                && rows.len() < every.len()
                && course.stop.is_none();
            let rows = Rows { every: &every, only: last.then_some((rows, &index)) };
            x = layer.forward(number, &x, &rows, around, scratch)?;
        }
        if course.stop.is_some() {
            return Ok((x, kept));
        }
        if let Some(norm) = &self.norm {
            norm.in_place(&x)?;
        }
        Ok((x, kept))
    }
}

impl Relative {
    fn bias(&self, longest: usize) -> Result<RelativeBias> {
        let every: Vec<u32> = (0..self.buckets as u32).collect();
        let mut table = vec![0.0; self.buckets * self.heads];
        self.table.gather(&every, &mut table)?;
        let (buckets, distance) = (self.buckets, self.max_distance);
        Ok(RelativeBias::new(&table, self.heads, buckets, distance, self.bidirectional, longest))
    }
}
