//! One layer: attention, attention to the encoder where there is one, MLP; each with its norm and the residual stream.

use candle_core::{Result, Tensor};

use super::attention::{Attention, Rows, Sources, View};
use super::mlp::{Addend, Mlp};
use super::pass::{Scratch, Tables};
use super::places::Builder;
use crate::model::layers::{Add, Norm};
use crate::model::spec::{LayerSpec, SublayerNorm};

#[derive(Clone)]
pub(super) struct Layer {
    pub attention: Attention,
    attention_norm: Residual,
    cross: Option<(Attention, Residual)>,
    pub mlp: Mlp,
    mlp_norm: Residual,
}

/// See [`SublayerNorm`].
#[derive(Clone)]
enum Residual {
    Before(Norm),
    BeforeBoth(Norm),
    After(Norm),
    Around { before: Norm, after: Norm },
}

/// What a layer needs to know of the batch.
pub(super) struct Surroundings<'a> {
    pub view: View<'a>,
    pub sources: Option<Sources<'a>>,
    pub tables: &'a Tables,
}

impl Residual {
    fn new(spec: &SublayerNorm, builder: &mut Builder) -> Result<Self> {
        Ok(match spec {
            SublayerNorm::Before(norm) => Residual::Before(builder.norm(norm)?),
            SublayerNorm::BeforeBoth(norm) => Residual::BeforeBoth(builder.norm(norm)?),
            SublayerNorm::After(norm) => Residual::After(builder.norm(norm)?),
            SublayerNorm::Around { before, after } => {
                Residual::Around { before: builder.norm(before)?, after: builder.norm(after)? }
            }
        })
    }

    /// What the sublayer reads.
    fn open(&self, x: &Tensor, scratch: &mut Scratch) -> Result<Tensor> {
        let norm = match self {
            Residual::After(_) => return Ok(x.clone()),
            Residual::Before(norm)
            | Residual::BeforeBoth(norm)
            | Residual::Around { before: norm, .. } => norm,
        };
        let normed = scratch.normed.matrix(x.dim(0)?, x.dim(1)?)?;
        norm.forward_into(&normed, x)?;
        if let Residual::BeforeBoth(_) = self {
            x.slice_set(&normed, 0, 0)?;
        }
        Ok(normed)
    }

    /// Adds to `x` what the sublayer made.
    fn close(&self, x: &Tensor, addend: &Addend, scratch: &mut Scratch) -> Result<()> {
        match self {
            Residual::Before(_) | Residual::BeforeBoth(_) => addend.add_into(x),
            Residual::After(norm) => {
                addend.add_into(x)?;
                norm.in_place(x)
            }
            Residual::Around { after, .. } => {
                let side = scratch.side.matrix(x.dim(0)?, x.dim(1)?)?;
                addend.forward_into(&side)?;
                after.in_place(&side)?;
                x.inplace_op2(&side, &Add)
            }
        }
    }
}

impl Layer {
    /// The attention to the encoder's texts.
    pub fn cross(&self) -> Option<&Attention> {
        self.cross.as_ref().map(|(attention, _)| attention)
    }

    pub fn new(spec: &LayerSpec, builder: &mut Builder) -> Result<Self> {
        let cross = match &spec.cross {
            Some((attention, norm)) => {
                Some((Attention::new(attention, builder)?, Residual::new(norm, builder)?))
            }
            None => None,
        };
        Ok(Layer {
            attention: Attention::new(&spec.attention, builder)?,
            attention_norm: Residual::new(&spec.attention_norm, builder)?,
            cross,
            mlp: Mlp::new(&spec.mlp, builder)?,
            mlp_norm: Residual::new(&spec.mlp_norm, builder)?,
        })
    }

    /// `x`: `[tokens, hidden]`, overwritten; returned are the rows asked for, which may share its memory.
    pub fn forward(
        &self,
        number: usize,
        x: &Tensor,
        rows: &Rows,
        around: &Surroundings,
        scratch: &mut Scratch,
    ) -> Result<Tensor> {
        let input = self.attention_norm.open(x, scratch)?;
        let attended =
            self.attention.gather(number, &input, rows, &around.view, around.tables, scratch)?;
        let x = rows.of(x)?;
        let addend = Addend::Product(&self.attention.output, attended);
        self.attention_norm.close(&x, &addend, scratch)?;
        if let (Some((attention, norm)), Some(sources)) = (&self.cross, &around.sources) {
            let input = norm.open(&x, scratch)?;
            let attended = attention.gather_sources(number, &input, rows, sources, scratch)?;
            norm.close(&x, &Addend::Product(&attention.output, attended), scratch)?;
        }
        let input = self.mlp_norm.open(&x, scratch)?;
        let addend = self.mlp.forward(&input, scratch)?;
        self.mlp_norm.close(&x, &addend, scratch)?;
        Ok(x)
    }
}
