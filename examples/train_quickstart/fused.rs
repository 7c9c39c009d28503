//! The model's parts that are no matrix product, each as one differentiable operation: one pass
//! over memory instead of many, and none of the strided broadcasts whose derivatives are slow sums.

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, Error, Layout, Result, Shape, Tensor, WithDType,
};

/// The contiguous float32 values of an operand.
pub fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) =
        layout.contiguous_offsets().ok_or(Error::RequiresContiguous { op: "fused operation" })?;
    Ok(&f32::cpu_storage_as_slice(storage)?[start..end])
}

pub fn to_vec(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// RMSNorm (Zhang & Sennrich 2019, eq. 4): `x` \[…, hidden\] and `weight` \[hidden\].
pub struct RmsNorm {
    pub eps: f64,
}

impl RmsNorm {
    fn inverse_rms(&self, row: &[f32]) -> f32 {
        let mean_square = row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32;
        (mean_square + self.eps as f32).sqrt().recip()
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (values(x, x_layout)?, values(weight, weight_layout)?);
        let mut out = Vec::with_capacity(x.len());
        for row in x.chunks_exact(weight.len()) {
            let scale = self.inverse_rms(row);
            out.extend(row.iter().zip(weight).map(|(x, w)| x * scale * w));
        }
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    /// With n = x / rms and h = grad ⊙ weight: dx = (h − n · mean(h ⊙ n)) / rms.
    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (shape, device) = (x.shape(), x.device());
        let (x, w, grad) = (to_vec(x)?, to_vec(weight)?, to_vec(grad)?);
        let (mut dx, mut dw) = (Vec::with_capacity(x.len()), vec![0.0; w.len()]);
        for (row, grad) in x.chunks_exact(w.len()).zip(grad.chunks_exact(w.len())) {
            let scale = self.inverse_rms(row);
            let mut mean = 0.0;
            for i in 0..w.len() {
                mean += grad[i] * w[i] * row[i];
                dw[i] += grad[i] * row[i] * scale;
            }
            let mean = mean * scale * scale / w.len() as f32;
            dx.extend((0..w.len()).map(|i| scale * (grad[i] * w[i] - row[i] * mean)));
        }
        let dw = Tensor::from_vec(dw, weight.shape(), device)?;
        Ok((Some(Tensor::from_vec(dx, shape, device)?), Some(dw)))
    }
}

/// SwiGLU (Shazeer 2020, "GLU Variants Improve Transformer"): silu(gate) ⊙ up, of equal shapes.
pub struct SwiGlu;

fn sigmoid(x: f32) -> f32 {
    (1.0 + (-x).exp()).recip()
}

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (values(gate, gate_layout)?, values(up, up_layout)?);
        let out = gate.iter().zip(up).map(|(g, u)| g * sigmoid(*g) * u).collect();
        Ok((CpuStorage::F32(out), gate_layout.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (shape, device) = (gate.shape(), gate.device());
        let (gate, up, mut grad) = (to_vec(gate)?, to_vec(up)?, to_vec(grad)?);
        let mut dgate = Vec::with_capacity(gate.len());
        for ((g, u), grad) in gate.into_iter().zip(up).zip(&mut grad) {
            let s = sigmoid(g);
            dgate.push(*grad * u * s * (1.0 + g * (1.0 - s)));
            *grad *= g * s;
        }
        let dgate = Tensor::from_vec(dgate, shape, device)?;
        Ok((Some(dgate), Some(Tensor::from_vec(grad, shape, device)?)))
    }
}

/// Log-softmax over the last dimension.
pub struct LogSoftmax;

impl CustomOp1 for LogSoftmax {
    fn name(&self) -> &'static str {
        "log-softmax"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = values(logits, layout)?;
        let mut out = Vec::with_capacity(logits.len());
        for row in logits.chunks_exact(last_dim(layout.shape())) {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let log_sum = max + row.iter().map(|x| (x - max).exp()).sum::<f32>().ln();
            out.extend(row.iter().map(|x| x - log_sum));
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, log_probs: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = last_dim(log_probs.shape());
        let (out, mut grad) = (to_vec(log_probs)?, to_vec(grad)?);
        for (grad, out) in grad.chunks_exact_mut(width).zip(out.chunks_exact(width)) {
            let sum: f32 = grad.iter().sum();
            if sum != 0.0 {
                grad.iter_mut().zip(out).for_each(|(g, log_prob)| *g -= log_prob.exp() * sum);
            }
        }
        Ok(Some(Tensor::from_vec(grad, log_probs.shape(), log_probs.device())?))
    }
}

fn last_dim(shape: &Shape) -> usize {
    shape.dims().last().copied().unwrap_or(1)
}
