//! Tokens to vectors.

use candle_core::{Device, Result, Tensor};

use super::places::Builder;
use crate::model::layers::{Linear, Matrix, Norm};
use crate::model::spec::EmbeddingSpec;

pub(super) struct Embedding {
    pub tokens: Matrix,
    scale: f32,
    positions: Option<(Matrix, usize)>,
    token_type: Option<Tensor>,
    norm: Option<Norm>,
    projection: Option<Linear>,
}

impl Embedding {
    pub fn new(spec: &EmbeddingSpec, builder: &mut Builder) -> Result<Self> {
        let positions = match &spec.positions {
            Some((table, offset)) => Some((builder.matrix(table)?, *offset)),
            None => None,
        };
        Ok(Embedding {
            tokens: builder.matrix(&spec.tokens)?,
            scale: spec.scale,
            positions,
            token_type: spec.token_type.as_ref().map(|spec| builder.vector(spec)).transpose()?,
            norm: spec.norm.as_ref().map(|spec| builder.norm(spec)).transpose()?,
            projection: spec.projection.as_ref().map(|spec| builder.linear(spec)).transpose()?,
        })
    }

    /// `[tokens, hidden]`, fresh memory.
    pub fn forward(&self, tokens: &[u32], positions: &[usize]) -> Result<Tensor> {
        let width = self.tokens.inputs();
        let mut values = vec![0.0; tokens.len() * width];
        self.tokens.gather(tokens, &mut values)?;
        if self.scale != 1.0 {
            values.iter_mut().for_each(|value| *value *= self.scale);
        }
        if let Some(token_type) = &self.token_type {
            let vector = token_type.to_vec1::<f32>()?;
            for row in values.chunks_exact_mut(width) {
                row.iter_mut().zip(&vector).for_each(|(value, x)| *value += x);
            }
        }
        if let Some((table, offset)) = &self.positions {
            add_rows(&mut values, table, positions, *offset)?;
        }
        let x = Tensor::from_vec(values, (tokens.len(), width), &Device::Cpu)?;
        if let Some(norm) = &self.norm {
            norm.in_place(&x)?;
        }
        match &self.projection {
            Some(projection) => {
                let shape = (tokens.len(), projection.outputs());
                let wide = Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu)?;
                projection.forward_into(&wide, &x)?;
                Ok(wide)
            }
            None => Ok(x),
        }
    }
}

fn add_rows(values: &mut [f32], table: &Matrix, positions: &[usize], offset: usize) -> Result<()> {
    let rows: Vec<u32> = positions.iter().map(|position| (position + offset) as u32).collect();
    let mut added = vec![0.0; values.len()];
    table.gather(&rows, &mut added)?;
    values.iter_mut().zip(added).for_each(|(value, added)| *value += added);
    Ok(())
}
