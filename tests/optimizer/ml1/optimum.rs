//! The best F that an instance has: the zero of all regrets.
//!
//! From the planted genes, weights by projected gradients; then one gene at a time, as long as that helps.

use super::{CHANCE, CHOICES, GENES, Ml1, TASKS};

/// Iterations of the inner search; a few hundred are usual.
const MOST_ITERATIONS: usize = 20_000;
/// Non-monotone line search: a step may be worse than the last, but not than the last ten.
const MEMORY: usize = 10;

impl Ml1 {
    /// Largest F over all weights and genes that local search over genes finds.
    pub fn best(&self) -> f64 {
        let mut genes = self.kstar.to_vec();
        let start = self.targets(&genes);
        let (mut best, mut weights) = self.best_weights(start, &genes);
        while let Some((value, x, c)) = self.better_neighbour(best, &weights, &genes) {
            (best, weights, genes) = (value, x, c);
        }
        best
    }

    /// Where the weights want to be, without the tasks' own displacements.
    fn targets(&self, c: &[usize]) -> Vec<f64> {
        (0..self.d).map(|i| self.o[i][c[i * GENES / self.d]]).collect()
    }

    fn better_neighbour(
        &self,
        best: f64,
        weights: &[f64],
        genes: &[usize],
    ) -> Option<(f64, Vec<f64>, Vec<usize>)> {
        let changes = (0..GENES).flat_map(|gene| (0..CHOICES).map(move |choice| (gene, choice)));
        changes.filter(|&(gene, choice)| genes[gene] != choice).find_map(|(gene, choice)| {
            let mut c = genes.to_vec();
            c[gene] = choice;
            let targets = self.targets(&c);
            let start: Vec<f64> = (0..self.d)
                .map(|i| if i * GENES / self.d == gene { targets[i] } else { weights[i] })
                .collect();
            let (value, x) = self.best_weights(start, &c);
            (value > best + 1e-9).then_some((value, x, c))
        })
    }

    /// Spectral projected gradients (Birgin, Martínez & Raydan, SIAM J. Optim. 10, 2000, 1196) on −F over the unit cube.
    fn best_weights(&self, start: Vec<f64>, c: &[usize]) -> (f64, Vec<f64>) {
        let mut x = start;
        let (mut cost, mut slope) = self.cost_and_slope(&x, c);
        let mut recent = vec![cost];
        let mut length = 1.0;
        for _ in 0..MOST_ITERATIONS {
            let step: Vec<f64> =
                x.iter().zip(&slope).map(|(x, g)| (x - length * g).clamp(0.0, 1.0) - x).collect();
            if step.iter().all(|s| s.abs() < 1e-11) {
                break;
            }
            let descent: f64 = step.iter().zip(&slope).map(|(s, g)| s * g).sum();
            let worst = recent.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut share = 1.0;
            let (next, next_cost, next_slope) = loop {
                let trial: Vec<f64> = x.iter().zip(&step).map(|(x, s)| x + share * s).collect();
                let (value, gradient) = self.cost_and_slope(&trial, c);
                if value <= worst + 1e-4 * share * descent || share < 1e-12 {
                    break (trial, value, gradient);
                }
                share *= 0.5;
            };
            let moved: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
            let squared: f64 = moved.iter().map(|s| s * s).sum();
            let curved: f64 = moved
                .iter()
                .zip(next_slope.iter().zip(&slope))
                .map(|(s, (new, old))| s * (new - old))
                .sum();
            length = if curved > 0.0 { (squared / curved).clamp(1e-6, 1e6) } else { 1e6 };
            (x, cost, slope) = (next, next_cost, next_slope);
            recent.push(cost);
            if recent.len() > MEMORY {
                recent.remove(0);
            }
        }
        (-cost, x)
    }

    /// −F and its gradient with respect to the weights.
    fn cost_and_slope(&self, x: &[f64], c: &[usize]) -> (f64, Vec<f64>) {
        let accuracies = self.accuracies(x, c);
        let value = super::geometric_mean(accuracies);
        let mut slope = vec![0.0; self.d];
        for (t, accuracy) in accuracies.iter().enumerate() {
            let logistic = (accuracy - CHANCE[t]) / (1.0 - CHANCE[t]);
            let outer = value / TASKS as f64 / accuracy
                * (1.0 - CHANCE[t])
                * logistic
                * (1.0 - logistic)
                * 6.0;
            let delta = self.delta(t, x, c);
            let along: Vec<f64> =
                self.v[t].iter().map(|v| v.iter().zip(&delta).map(|(v, d)| v * d).sum()).collect();
            for (i, slope) in slope.iter_mut().enumerate() {
                let rank: f64 = self.v[t].iter().zip(&along).map(|(v, a)| v[i] * a).sum();
                *slope += outer * 2.0 / self.d as f64 * (self.h[t][i] * delta[i] + rank);
            }
        }
        (-value, slope)
    }
}
