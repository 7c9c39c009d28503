//! What merging has to offer on this family: the accuracy of its models, of simple merges, and of
//! merges that a short search finds.

use std::path::Path;

use candle_core::Tensor;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokenizers::Tokenizer;

use crate::datasets::{self, TASKS};
use crate::llama::Config;
use crate::scoring::Batches;
use crate::training::Weights;
use crate::{BASE, EXPERTS, Result, checkpoint};

pub struct Family {
    config: Config,
    base: Weights,
    /// Expert minus base.
    deltas: Vec<Weights>,
    search: Vec<Batches>,
    holdout: Vec<Batches>,
}

impl Family {
    pub fn read(dir: &Path) -> Result<Self> {
        let models = dir.join("models");
        let base_dir = models.join(BASE);
        let config = checkpoint::read_config(&base_dir)?;
        let tokenizer = Tokenizer::from_file(base_dir.join("tokenizer.json"))?;
        let base = checkpoint::read_weights(&base_dir)?;
        let deltas = EXPERTS
            .iter()
            .map(|expert| {
                difference(&checkpoint::read_weights(&models.join(expert.skill.name()))?, &base)
            })
            .collect::<Result<_>>()?;
        let split = |name: &str| {
            let batches = |&task| {
                Batches::new(
                    &datasets::read(&dir.join("datasets"), task, name)?,
                    &config,
                    &tokenizer,
                )
            };
            TASKS.iter().map(batches).collect::<Result<Vec<_>>>()
        };
        let (search, holdout) = (split("search")?, split("holdout")?);
        Ok(Self { config, base, deltas, search, holdout })
    }

    /// Base + Σ weight × delta: task arithmetic (Ilharco et al. 2023, "Editing Models with Task
    /// Arithmetic"), the weight being a function of expert and parameter name.
    fn merge(&self, weight: impl Fn(usize, &str) -> f64) -> Result<Weights> {
        let merged = |(name, base): (&String, &Tensor)| {
            let mut sum = base.clone();
            for (expert, delta) in self.deltas.iter().enumerate() {
                sum = (sum + (&delta[name] * weight(expert, name))?)?;
            }
            Ok((name.clone(), sum))
        };
        self.base.iter().map(merged).collect()
    }

    fn row(&self, name: &str, weights: &Weights) -> Result<()> {
        let holdout = self.accuracies(&self.holdout, weights)?;
        let search = geometric_mean(&self.accuracies(&self.search, weights)?);
        let columns: String = holdout.iter().map(|a| format!("{:>11.1}", 100.0 * a)).collect();
        let mean = 100.0 * geometric_mean(&holdout);
        println!("{name:<28}{columns}{mean:>11.1}{:>11.1}", 100.0 * search);
        Ok(())
    }

    fn accuracies(&self, tasks: &[Batches], weights: &Weights) -> Result<Vec<f64>> {
        tasks.iter().map(|batches| batches.accuracy(&self.config, weights)).collect()
    }

    fn fitness(&self, genes: &[f64], grain: Grain) -> Result<f64> {
        let weights = self.merge(|expert, name| genes[self.gene(expert, name, grain)])?;
        Ok(geometric_mean(&self.accuracies(&self.search, &weights)?))
    }

    fn gene(&self, expert: usize, name: &str, grain: Grain) -> usize {
        let layer = name.split('.').nth(2).and_then(|part| part.parse::<usize>().ok());
        let group = match (grain, layer) {
            (Grain::Expert, _) => 0,
            (Grain::Block, _) => usize::from(name.contains("mlp")),
            (Grain::Layer, layer) => 2 * layer.unwrap_or(0) + usize::from(name.contains("mlp")),
        };
        expert * self.groups(grain) + group
    }

    fn groups(&self, grain: Grain) -> usize {
        match grain {
            Grain::Expert => 1,
            Grain::Block => 2,
            Grain::Layer => 2 * self.config.num_hidden_layers,
        }
    }

    /// (1+1) evolution strategy with the 1/5 success rule (Rechenberg 1973), on the search split.
    fn climb(&self, start: Vec<f64>, grain: Grain, trials: usize, seed: u64) -> Result<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // The same first step length, 0.4, in any number of dimensions.
        let mut sigma = 0.4 / (start.len() as f64).sqrt();
        let mut best = start;
        let mut best_fitness = self.fitness(&best, grain)?;
        for _ in 0..trials {
            let step = |gene: &f64| gene + sigma * normal(&mut rng);
            let genes: Vec<f64> = best.iter().map(step).collect();
            let fitness = self.fitness(&genes, grain)?;
            let success = fitness >= best_fitness;
            sigma = (sigma * if success { 1.35 } else { 0.93 }).clamp(0.02, 0.5);
            if success {
                (best, best_fitness) = (genes, fitness);
            }
        }
        Ok(best)
    }

    fn searched(&self, name: &str, genes: &[f64], grain: Grain) -> Result<()> {
        self.row(name, &self.merge(|expert, name| genes[self.gene(expert, name, grain)])?)
    }

    /// The same weights written for a finer grain.
    fn refine(&self, genes: &[f64], from: Grain, to: Grain) -> Vec<f64> {
        let (coarse, fine) = (self.groups(from), self.groups(to));
        let gene = |i: usize| genes[i / fine * coarse + i % fine % coarse];
        (0..self.deltas.len() * fine).map(gene).collect()
    }
}

/// Which parameters of an expert share one weight.
#[derive(Clone, Copy)]
enum Grain {
    Expert,
    /// Attention with everything else, MLP.
    Block,
    /// The same in each layer.
    Layer,
}

/// Prints the table.
pub fn report(dir: &Path, trials: usize, seed: u64) -> Result<()> {
    let family = Family::read(dir)?;
    let names: String = TASKS.iter().map(|task| format!("{:>11}", task.name())).collect();
    println!("{:<28}{names}{:>11}{:>11}", "holdout accuracy x 100", "geo. mean", "(search)");
    family.row("base", &family.base)?;
    for (i, expert) in EXPERTS.iter().enumerate() {
        let alone = family.merge(|expert, _| if expert == i { 1.0 } else { 0.0 })?;
        family.row(&format!("expert {}", expert.skill.name()), &alone)?;
    }
    family.row("uniform average", &family.merge(|_, _| 1.0 / EXPERTS.len() as f64)?)?;
    for lambda in [0.3, 0.5, 0.7, 1.0] {
        family.row(&format!("task arithmetic {lambda}"), &family.merge(|_, _| lambda)?)?;
    }
    if trials == 0 {
        return Ok(());
    }
    let start = vec![0.6; EXPERTS.len()];
    let global = family.climb(start, Grain::Expert, trials / 4, seed)?;
    family.searched("search: experts", &global, Grain::Expert)?;
    println!("  {global:.2?}");
    let start = family.refine(&global, Grain::Expert, Grain::Block);
    let blocks = family.climb(start, Grain::Block, trials - trials / 4, seed)?;
    family.searched("search: + attention/mlp", &blocks, Grain::Block)?;
    println!("  {blocks:.2?}");
    let start = family.refine(&blocks, Grain::Block, Grain::Layer);
    let layers = family.climb(start, Grain::Layer, trials, seed)?;
    family.searched("search: + layers", &layers, Grain::Layer)
}

fn difference(a: &Weights, b: &Weights) -> Result<Weights> {
    let delta = |(name, b): (&String, &Tensor)| {
        let a = a.get(name).ok_or_else(|| format!("no tensor {name}"))?;
        Ok((name.clone(), (a - b)?))
    };
    b.iter().map(delta).collect()
}

fn geometric_mean(values: &[f64]) -> f64 {
    values.iter().product::<f64>().powf(1.0 / values.len() as f64)
}

/// Box & Muller 1958.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
