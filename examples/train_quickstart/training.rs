//! Full training of a model on packed sequences: AdamW, linear warm-up, cosine decay to zero.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::Result;
use crate::attention::Places;
use crate::corpus::{SEQUENCE_LENGTH, Sequence};
use crate::llama::{Config, Llama};

/// Parameters by Hugging Face name, float32.
pub type Weights = BTreeMap<String, Tensor>;

#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub steps: usize,
    pub batch: usize,
    pub learning_rate: f64,
    pub weight_decay: f64,
    /// Parts of a batch that run in parallel.
    pub shards: usize,
    pub seed: u64,
}

const WARM_UP: f64 = 0.05;
const MAX_GRADIENT_NORM: f64 = 1.0;

/// Uniform with variance 1 / inputs; those of the two projections into the residual stream are
/// divided by the number of such projections, as in GPT-2 (Radford et al. 2019, section 2.3).
pub fn initial_weights(config: &Config, seed: u64) -> Result<Weights> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = Weights::new();
    for (name, shape) in config.parameters() {
        let count = shape.iter().product();
        let std = match name.as_str() {
            n if n.contains("norm") => 0.0,
            n if n.contains("embed") => 0.1,
            n if n.contains("o_proj") || n.contains("down_proj") => {
                (shape[1] as f32 * 2.0 * config.num_hidden_layers as f32).powf(-0.5)
            }
            _ => (shape[1] as f32).powf(-0.5),
        };
        let bound = std * 3f32.sqrt();
        let values: Vec<f32> = match name.contains("norm") {
            true => vec![1.0; count],
            false => (0..count).map(|_| rng.random_range(-bound..bound)).collect(),
        };
        weights.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
    }
    Ok(weights)
}

/// Trains a copy of `start`; `report(step, loss)` is called after every step.
pub fn train(
    config: &Config,
    start: &Weights,
    sequences: &[Sequence],
    schedule: Schedule,
    report: impl Fn(usize, f32),
) -> Result<Weights> {
    let vars: BTreeMap<String, Var> = start
        .iter()
        .map(|(name, t)| Ok((name.clone(), Var::from_tensor(&t.copy()?)?)))
        .collect::<Result<_>>()?;
    let shared = vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let model = Llama::new(config, &shared)?;
    let positions: Vec<u32> = (0..SEQUENCE_LENGTH as u32).collect();
    let places = config.places(1, &positions, |_, _, _| true);
    let parameters =
        ParamsAdamW { weight_decay: schedule.weight_decay, beta2: 0.98, ..Default::default() };
    let mut optimizer = AdamW::new(vars.values().cloned().collect(), parameters)?;
    let mut rng = ChaCha8Rng::seed_from_u64(schedule.seed);
    for step in 0..schedule.steps {
        let batch: Vec<&Sequence> =
            (0..schedule.batch).map(|_| &sequences[rng.random_range(0..sequences.len())]).collect();
        let (loss, gradients) = gradients(&model, &places, &batch, schedule.shards, &vars)?;
        optimizer.set_learning_rate(schedule.learning_rate_at(step));
        optimizer.step(&gradients)?;
        report(step, loss);
    }
    vars.into_iter().map(|(name, var)| Ok((name, var.as_tensor().detach().copy()?))).collect()
}

impl Schedule {
    /// Loshchilov & Hutter 2017, "SGDR", eq. 5, after a linear warm-up.
    fn learning_rate_at(&self, step: usize) -> f64 {
        let done = (step + 1) as f64 / self.steps as f64;
        let factor = match done < WARM_UP {
            true => done / WARM_UP,
            false => {
                0.5 * (1.0 + ((done - WARM_UP) / (1.0 - WARM_UP) * std::f64::consts::PI).cos())
            }
        };
        self.learning_rate * factor
    }
}

/// The batch's weighted mean loss, and its gradient scaled down to `MAX_GRADIENT_NORM`.
fn gradients(
    model: &Llama,
    places: &Arc<Places>,
    batch: &[&Sequence],
    shards: usize,
    vars: &BTreeMap<String, Var>,
) -> Result<(f32, GradStore)> {
    let total: f32 = batch.iter().flat_map(|sequence| &sequence.weights).sum();
    let size = batch.len().div_ceil(shards);
    let parts: Vec<(f32, GradStore)> = batch
        .par_chunks(size)
        .map(|part| {
            let loss = loss(model, places, part, total)?;
            Ok((loss.to_scalar::<f32>()?, loss.backward()?))
        })
        .collect::<Result<_>>()?;
    let mut parts = parts.into_iter();
    let (mut loss, mut sum) = parts.next().ok_or("empty batch")?;
    for (other_loss, other) in parts {
        loss += other_loss;
        for var in vars.values() {
            if let (Some(a), Some(b)) = (sum.get(var), other.get(var)) {
                let both = (a + b)?;
                sum.insert(var, both);
            }
        }
    }
    clip(&mut sum, vars)?;
    Ok((loss, sum))
}

fn clip(gradients: &mut GradStore, vars: &BTreeMap<String, Var>) -> Result<()> {
    let mut square = 0.0;
    for gradient in vars.values().filter_map(|var| gradients.get(var)) {
        square += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let factor = MAX_GRADIENT_NORM / square.sqrt().max(MAX_GRADIENT_NORM);
    for var in vars.values() {
        if let Some(gradient) = gradients.remove(var) {
            gradients.insert(var, (gradient * factor)?);
        }
    }
    Ok(())
}

/// Weighted negative log-likelihood of `part`, divided by the whole batch's weight.
fn loss(model: &Llama, places: &Arc<Places>, part: &[&Sequence], total: f32) -> Result<Tensor> {
    let time = SEQUENCE_LENGTH;
    let flat = |from: usize| -> Vec<u32> {
        part.iter().flat_map(|sequence| sequence.ids[from..from + time].iter().copied()).collect()
    };
    let weights: Vec<f32> =
        part.iter().flat_map(|s| s.weights.iter().map(|w| -w / total)).collect();
    let count = part.len() * time;
    let inputs = Tensor::from_vec(flat(0), (part.len(), time), &Device::Cpu)?;
    let targets = Tensor::from_vec(flat(1), (count, 1), &Device::Cpu)?;
    let weights = Tensor::from_vec(weights, (count, 1), &Device::Cpu)?;
    let rows = Tensor::arange(0, count as u32, &Device::Cpu)?;
    let log_probs = model.log_probs(&inputs, places, &rows)?;
    Ok((log_probs.gather(&targets, 1)? * weights)?.sum_all()?)
}
