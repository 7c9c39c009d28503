//! Feed-forward networks: plain, gated, and mixtures of gated ones.

use candle_core::{DType, Result, Tensor};

use super::operations::activate;
use super::surroundings::indices;
use super::weights::Weights;
use crate::model::routing::chosen;
use crate::model::spec::{GatedSpec, LinearSpec, MlpSpec};

/// `x` and the result: `[rows, hidden]`.
pub(super) fn forward(weights: &Weights, mlp: &MlpSpec, x: &Tensor) -> Result<Tensor> {
    match mlp {
        MlpSpec::Plain { up, down, activation } => {
            weights.linear(down, &activate(*activation, &weights.linear(up, x)?)?)
        }
        MlpSpec::Gated(spec) => gated(weights, spec, x),
        MlpSpec::Experts { router, experts, top } => mixture(weights, router, experts, *top, x),
    }
}

fn gated(weights: &Weights, spec: &GatedSpec, x: &Tensor) -> Result<Tensor> {
    let gate = activate(spec.activation, &weights.linear(&spec.gate, x)?)?;
    weights.linear(&spec.down, &(gate * weights.linear(&spec.up, x)?)?)
}

/// Each row goes through its `top` experts, expert by expert so that one's rows are multiplied together. The router's
/// choices cross to the host, one copy per layer.
fn mixture(
    weights: &Weights,
    router: &LinearSpec,
    experts: &[GatedSpec],
    top: usize,
    x: &Tensor,
) -> Result<Tensor> {
    let logits = weights.linear(router, x)?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let shares: Vec<Vec<(usize, f32)>> = logits.iter().map(|row| chosen(row, top)).collect();
    let mut sum = Tensor::zeros(x.shape(), DType::F32, &weights.device)?;
    for (index, expert) in experts.iter().enumerate() {
        let (rows, shares) = rows_of(index, &shares);
        if rows.is_empty() {
            continue;
        }
        let shares = Tensor::new(shares, &weights.device)?.unsqueeze(1)?;
        let rows = indices(weights, rows)?;
        let out = gated(weights, expert, &x.index_select(&rows, 0)?)?.to_dtype(DType::F32)?;
        sum = sum.index_add(&rows, &out.broadcast_mul(&shares)?, 0)?;
    }
    sum.to_dtype(weights.dtype)
}

/// The rows that go through an expert, and its share in each.
fn rows_of(expert: usize, shares: &[Vec<(usize, f32)>]) -> (Vec<usize>, Vec<f32>) {
    let share = |row: &Vec<(usize, f32)>| row.iter().find(|(of, _)| *of == expert).map(|s| s.1);
    let mine = shares.iter().enumerate();
    mine.filter_map(|(row, shares)| share(shares).map(|share| (row, share))).unzip()
}
