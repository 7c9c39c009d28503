//! Feed-forward networks: plain, gated, and mixtures of gated ones.

use candle_core::{Device, Result, Tensor};

use super::pass::Scratch;
use super::places::Builder;
use crate::model::layers::{Add, Linear};
use crate::model::routing::chosen;
use crate::model::spec::{Activation, GatedSpec, MlpSpec};

#[derive(Clone)]
pub(super) enum Mlp {
    Plain { up: Linear, down: Linear, activation: Activation },
    Gated(Gated),
    Experts { router: Linear, experts: Vec<Gated>, top: usize },
}

#[derive(Clone)]
pub(super) struct Gated {
    gate_up: Linear,
    down: Linear,
    activation: Activation,
}

impl Gated {
    fn new(spec: &GatedSpec, builder: &mut Builder) -> Result<Self> {
        Ok(Gated {
            gate_up: builder.joined(&[&spec.gate, &spec.up])?,
            down: builder.linear(&spec.down)?,
            activation: spec.activation,
        })
    }

    /// `act(gate x) · up x`, `[rows, intermediate]`.
    fn inner(&self, x: &Tensor, scratch: &mut Scratch) -> Result<Tensor> {
        let (rows, width) = (x.dim(0)?, self.gate_up.outputs());
        let gate_up = scratch.gate_up.matrix(rows, width)?;
        let gated = scratch.gated.matrix(rows, width / 2)?;
        self.gate_up.forward_into(&gate_up, x)?;
        self.activation.gate_into(&gated, &gate_up)?;
        Ok(gated)
    }
}

/// What a sublayer adds to the residual stream.
pub(super) enum Addend<'a> {
    /// `x Wᵀ + b`, not yet multiplied.
    Product(&'a Linear, Tensor),
    /// `[rows, hidden]`.
    Sum(Tensor),
}

impl Addend<'_> {
    pub fn add_into(&self, out: &Tensor) -> Result<()> {
        match self {
            Addend::Product(linear, x) => linear.add_into(out, x),
            Addend::Sum(sum) => out.inplace_op2(sum, &Add),
        }
    }

    pub fn forward_into(&self, out: &Tensor) -> Result<()> {
        match self {
            Addend::Product(linear, x) => linear.forward_into(out, x),
            Addend::Sum(sum) => out.slice_set(sum, 0, 0),
        }
    }
}

impl Mlp {
    pub fn new(spec: &MlpSpec, builder: &mut Builder) -> Result<Self> {
        Ok(match spec {
            MlpSpec::Plain { up, down, activation } => Mlp::Plain {
                up: builder.linear(up)?,
                down: builder.linear(down)?,
                activation: *activation,
            },
            MlpSpec::Gated(gated) => Mlp::Gated(Gated::new(gated, builder)?),
            MlpSpec::Experts { router, experts, top } => Mlp::Experts {
                router: builder.linear(router)?,
                experts: experts
                    .iter()
                    .map(|expert| Gated::new(expert, builder))
                    .collect::<Result<_>>()?,
                top: *top,
            },
        })
    }

    /// `x`: `[rows, hidden]`.
    pub fn forward<'a>(&'a self, x: &Tensor, scratch: &mut Scratch) -> Result<Addend<'a>> {
        match self {
            Mlp::Plain { up, down, activation } => {
                let inner = scratch.gate_up.matrix(x.dim(0)?, up.outputs())?;
                up.forward_into(&inner, x)?;
                activation.in_place(&inner)?;
                Ok(Addend::Product(down, inner))
            }
            Mlp::Gated(gated) => Ok(Addend::Product(&gated.down, gated.inner(x, scratch)?)),
            Mlp::Experts { router, experts, top } => {
                mixture(router, experts, *top, x, scratch).map(Addend::Sum)
            }
        }
    }

    /// Widths of the two inner buffers.
    pub fn widths(&self) -> (usize, usize) {
        match self {
            Mlp::Plain { up, .. } => (up.outputs(), 0),
            Mlp::Gated(gated) => (gated.gate_up.outputs(), gated.gate_up.outputs() / 2),
            Mlp::Experts { experts, .. } => experts
                .first()
                .map_or((0, 0), |expert| (expert.gate_up.outputs(), expert.gate_up.outputs() / 2)),
        }
    }
}

/// Each row goes through its `top` experts, expert by expert so that one's rows are multiplied together.
fn mixture(
    router: &Linear,
    experts: &[Gated],
    top: usize,
    x: &Tensor,
    scratch: &mut Scratch,
) -> Result<Tensor> {
    let (rows, hidden) = x.dims2()?;
    let logits = Tensor::zeros((rows, experts.len()), candle_core::DType::F32, &Device::Cpu)?;
    router.forward_into(&logits, x)?;
    let shares: Vec<Vec<(usize, f32)>> =
        flat(&logits)?.chunks(experts.len().max(1)).map(|logits| chosen(logits, top)).collect();
    let mut sum = vec![0f32; rows * hidden];
    for (index, expert) in experts.iter().enumerate() {
        let share = |row: usize| shares[row].iter().find(|(chosen, _)| *chosen == index);
        let mine: Vec<(u32, f32)> =
            (0..rows).filter_map(|row| share(row).map(|(_, share)| (row as u32, *share))).collect();
        if mine.is_empty() {
            continue;
        }
        let index = Tensor::from_iter(mine.iter().map(|(row, _)| *row), &Device::Cpu)?;
        let inner = expert.inner(&x.index_select(&index, 0)?, scratch)?;
        let out = scratch.side.matrix(mine.len(), hidden)?;
        expert.down.forward_into(&out, &inner)?;
        for ((row, share), out) in mine.iter().zip(flat(&out)?.chunks(hidden.max(1))) {
            let sum = &mut sum[*row as usize * hidden..][..hidden];
            sum.iter_mut().zip(out).for_each(|(sum, out)| *sum += share * out);
        }
    }
    Tensor::from_vec(sum, (rows, hidden), &Device::Cpu)
}

/// Row-major, in one copy.
fn flat(matrix: &Tensor) -> Result<Vec<f32>> {
    matrix.flatten_all()?.to_vec1()
}
