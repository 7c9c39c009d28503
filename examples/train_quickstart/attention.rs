//! Masked multi-head attention with rotary positions, as one differentiable operation.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use crate::fused::{to_vec, values};

/// Where the tokens of a batch stand and which earlier ones each may see.
pub struct Places {
    /// Rows of the batch that this describes; 1 stands for any number of equal rows.
    pub rows: usize,
    pub time: usize,
    /// \[rows, time, head_dim / 2\]
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
    /// \[rows, time (query), time (key)\]
    pub visible: Vec<bool>,
}

impl Places {
    /// `positions` \[rows × time\]; `visible(row, query, key)` is asked for keys up to the query.
    pub fn new(
        rows: usize,
        positions: &[u32],
        head_dim: usize,
        theta: f64,
        visible: impl Fn(usize, usize, usize) -> bool,
    ) -> Self {
        let (time, half) = (positions.len() / rows, head_dim / 2);
        let angle = |position: u32, i: usize| {
            // Su et al. 2021, "RoFormer", section 3.2.2.
            f64::from(position) * theta.powf(-(i as f64) / half as f64)
        };
        let angles = || positions.iter().flat_map(|&p| (0..half).map(move |i| angle(p, i)));
        let mut seen = Vec::with_capacity(rows * time * time);
        for row in 0..rows {
            for query in 0..time {
                seen.extend((0..time).map(|key| key <= query && visible(row, query, key)));
            }
        }
        let (cos, sin) = (angles().map(|a| a.cos() as f32), angles().map(|a| a.sin() as f32));
        Self { rows, time, cos: cos.collect(), sin: sin.collect(), visible: seen }
    }
}

/// softmax(rope(q) rope(k)ᵀ / √head_dim) v, each \[batch, time, heads × head_dim\].
pub struct Attention {
    pub places: Arc<Places>,
    pub heads: usize,
    pub head_dim: usize,
}

/// One head of one batch row.
struct Head {
    /// \[time, head_dim\], rotated
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Attention {
    fn head(&self, q: &[f32], k: &[f32], v: &[f32], batch: usize, head: usize) -> Head {
        let load = |x: &[f32], turn: f32| {
            let mut rows = self.load(x, batch, head);
            self.rotate(&mut rows, batch, turn);
            rows
        };
        Head { q: load(q, 1.0), k: load(k, 1.0), v: self.load(v, batch, head) }
    }

    fn offset(&self, batch: usize, time: usize, head: usize) -> usize {
        ((batch * self.places.time + time) * self.heads + head) * self.head_dim
    }

    fn load(&self, x: &[f32], batch: usize, head: usize) -> Vec<f32> {
        (0..self.places.time)
            .flat_map(|time| {
                let at = self.offset(batch, time, head);
                &x[at..at + self.head_dim]
            })
            .copied()
            .collect()
    }

    fn store(&self, x: &mut [f32], rows: &[f32], batch: usize, head: usize) {
        for (time, row) in rows.chunks_exact(self.head_dim).enumerate() {
            let at = self.offset(batch, time, head);
            x[at..at + self.head_dim].copy_from_slice(row);
        }
    }

    /// Rotates each row in Hugging Face's half-split form; `turn` −1 rotates back.
    fn rotate(&self, rows: &mut [f32], batch: usize, turn: f32) {
        let (time, half) = (self.places.time, self.head_dim / 2);
        let start = batch % self.places.rows * time * half;
        for (t, row) in rows.chunks_exact_mut(self.head_dim).enumerate() {
            let (first, second) = row.split_at_mut(half);
            for i in 0..half {
                let at = start + t * half + i;
                let (cos, sin) = (self.places.cos[at], turn * self.places.sin[at]);
                let (a, b) = (first[i], second[i]);
                (first[i], second[i]) = (a * cos - b * sin, b * cos + a * sin);
            }
        }
    }

    /// What query `t` gives to each of the keys up to it.
    fn probabilities(&self, q: &[f32], k_t: &[f32], batch: usize, t: usize) -> Vec<f32> {
        let time = self.places.time;
        let mut row = products(q, k_t, time, t);
        let start = (batch % self.places.rows * time + t) * time;
        let scale = (self.head_dim as f32).sqrt().recip();
        let mut max = f32::NEG_INFINITY;
        for (score, &visible) in row.iter_mut().zip(&self.places.visible[start..]) {
            *score = if visible { *score * scale } else { f32::NEG_INFINITY };
            max = max.max(*score);
        }
        let mut sum = 0.0;
        for score in &mut row {
            *score = (*score - max).exp();
            sum += *score;
        }
        row.iter_mut().for_each(|p| *p /= sum);
        row
    }

    fn forward(&self, head: &Head, batch: usize) -> Vec<f32> {
        let dim = self.head_dim;
        let k_t = transposed(&head.k, dim);
        let mut out = vec![0.0; head.q.len()];
        for (t, out) in out.chunks_exact_mut(dim).enumerate() {
            let p = self.probabilities(&head.q[t * dim..][..dim], &k_t, batch, t);
            for (p, v) in p.iter().zip(head.v.chunks_exact(dim)) {
                add_scaled(out, v, *p);
            }
        }
        out
    }

    /// Gradients of q, k and v, q and k still rotated. With s = p ⊙ (dp − Σ p dp): dq = s k, dk =
    /// sᵀ q, dv = pᵀ dout.
    fn backward(&self, head: &Head, grad: &[f32], batch: usize) -> Head {
        let (dim, time) = (self.head_dim, self.places.time);
        let (k_t, v_t) = (transposed(&head.k, dim), transposed(&head.v, dim));
        let scale = (dim as f32).sqrt().recip();
        let zeros = || vec![0.0; head.q.len()];
        let mut d = Head { q: zeros(), k: zeros(), v: zeros() };
        for t in 0..time {
            let (q, grad) = (&head.q[t * dim..][..dim], &grad[t * dim..][..dim]);
            let p = self.probabilities(q, &k_t, batch, t);
            let dp = products(grad, &v_t, time, t);
            let mean: f32 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
            for (key, (p, dp)) in p.iter().zip(dp).enumerate() {
                let ds = p * (dp - mean) * scale;
                add_scaled(&mut d.q[t * dim..][..dim], &head.k[key * dim..][..dim], ds);
                add_scaled(&mut d.k[key * dim..][..dim], q, ds);
                add_scaled(&mut d.v[key * dim..][..dim], grad, *p);
            }
        }
        d
    }
}

/// `row` times each of the first `last + 1` columns of `matrix` \[dim, time\].
fn products(row: &[f32], matrix: &[f32], time: usize, last: usize) -> Vec<f32> {
    let mut out = vec![0.0; last + 1];
    for (x, column) in row.iter().zip(matrix.chunks_exact(time)) {
        add_scaled(&mut out, &column[..=last], *x);
    }
    out
}

fn add_scaled(out: &mut [f32], x: &[f32], factor: f32) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += factor * x);
}

fn transposed(rows: &[f32], dim: usize) -> Vec<f32> {
    (0..dim).flat_map(|i| rows.iter().skip(i).step_by(dim)).copied().collect()
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (values(q, q_layout)?, values(k, k_layout)?, values(v, v_layout)?);
        let mut out = vec![0.0; q.len()];
        for batch in 0..q_layout.dims()[0] {
            for head in 0..self.heads {
                let rows = self.forward(&self.head(q, k, v, batch, head), batch);
                self.store(&mut out, &rows, batch, head);
            }
        }
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (shape, device) = (q.shape(), q.device());
        let (q, k, v, grad) = (to_vec(q)?, to_vec(k)?, to_vec(v)?, to_vec(grad)?);
        let mut d = [vec![0.0; q.len()], vec![0.0; q.len()], vec![0.0; q.len()]];
        for batch in 0..shape.dims()[0] {
            for head in 0..self.heads {
                let rows = self.head(&q, &k, &v, batch, head);
                let grad = self.load(&grad, batch, head);
                let mut g = self.backward(&rows, &grad, batch);
                self.rotate(&mut g.q, batch, -1.0);
                self.rotate(&mut g.k, batch, -1.0);
                for (d, g) in d.iter_mut().zip([&g.q, &g.k, &g.v]) {
                    self.store(d, g, batch, head);
                }
            }
        }
        let [dq, dk, dv] = d.map(|d| Tensor::from_vec(d, shape, device).map(Some));
        Ok((dq?, dk?, dv?))
    }
}
