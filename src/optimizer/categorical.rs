//! The categorical half of the search distribution: one distribution per gene, moved along the
//! natural gradient.
//!
//! CatCMA (Hamano et al., arXiv:2405.09962), with the learning rate of ASNG (Akimoto et al. 2019,
//! PMLR 97). Rows have their own number of categories K_n.

use rand::{Rng, RngExt};

/// Threshold on ‖s‖² above which a direction counts as consistent (ASNG).
const ALPHA: f64 = 1.5;

/// Product of categorical distributions q_n over K_n categories.
#[derive(Debug, Clone)]
#[allow(non_snake_case)]
pub(super) struct Categorical {
    pub(super) q: Vec<Vec<f64>>,
    /// Least probability of any category of gene n, below 1/K_n.
    q_min: Vec<f64>,
    /// Accumulated direction, in Fisher coordinates; Σ (K_n − 1) entries.
    s: Vec<f64>,
    gamma: f64,
    /// Length of the next step, in Fisher coordinates: 1/Δ of one generation ago, as in the
    /// authors' code.
    delta: f64,
    pub(super) Delta: f64,
}

impl Categorical {
    /// Starts uniform over `categories`; the margin is `alpha` / (K_n − 1) (arXiv:2405.09962).
    pub(super) fn new(categories: &[usize], alpha: f64) -> Self {
        Self {
            q: categories.iter().map(|&k| vec![1.0 / k as f64; k]).collect(),
            q_min: categories.iter().map(|&k| alpha / (k - 1) as f64).collect(),
            s: vec![0.0; categories.iter().map(|k| k - 1).sum()],
            gamma: 0.0,
            delta: 1.0,
            Delta: 1.0,
        }
    }

    /// Half of each gene's probability goes to its categories among `given` candidates, in equal
    /// shares, and no category falls below its margin.
    pub(super) fn lean_towards(&mut self, given: &[&[usize]]) {
        if given.is_empty() {
            return;
        }
        self.q.iter_mut().flatten().for_each(|q| *q *= 0.5);
        for c in given {
            for (q, &k) in self.q.iter_mut().zip(*c) {
                q[k] += 0.5 / given.len() as f64;
            }
        }
        self.apply_margin();
    }

    /// One category per gene.
    pub(super) fn sample(&self, rng: &mut impl Rng) -> Vec<usize> {
        self.q.iter().map(|q| pick(q, rng.random())).collect()
    }

    /// The most probable category of each gene; the first of equals.
    pub(super) fn mode(&self) -> Vec<usize> {
        let first_max =
            |q: &Vec<f64>| (1..q.len()).fold(0, |best, k| if q[k] > q[best] { k } else { best });
        self.q.iter().map(first_max).collect()
    }

    /// One generation: `samples` as drawn, with the recombination weight of each.
    pub(super) fn update(&mut self, weights: &[f64], samples: &[&[usize]]) {
        let gradient = self.natural_gradient(weights, samples);
        let direction = self.in_fisher_coordinates(&gradient);
        let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > f64::MIN_POSITIVE.sqrt() {
            self.step(&gradient, self.delta / norm);
            self.adapt_rate(&direction, norm);
            self.apply_margin();
        }
    }

    /// Σ_i w_i (c_i − q).
    fn natural_gradient(&self, weights: &[f64], samples: &[&[usize]]) -> Vec<Vec<f64>> {
        let total: f64 = weights.iter().sum();
        let mut gradient: Vec<Vec<f64>> =
            self.q.iter().map(|q| q.iter().map(|q| -total * q).collect()).collect();
        for (c, w) in samples.iter().zip(weights) {
            for (row, &k) in gradient.iter_mut().zip(*c) {
                row[k] += w;
            }
        }
        gradient
    }

    /// F^(1/2) times the gradient, row by row (ASNG, appendix B); the last category is the
    /// dependent one.
    fn in_fisher_coordinates(&self, gradient: &[Vec<f64>]) -> Vec<f64> {
        let row = |(q, g): (&Vec<f64>, &Vec<f64>)| {
            let last = q.len() - 1;
            let common = g[..last].iter().sum::<f64>() / (q[last] + q[last].sqrt());
            (0..last).map(|k| g[k] / q[k].sqrt() + q[k].sqrt() * common).collect::<Vec<_>>()
        };
        self.q.iter().zip(gradient).flat_map(row).collect()
    }

    fn step(&mut self, gradient: &[Vec<f64>], rate: f64) {
        for (q, g) in self.q.iter_mut().flatten().zip(gradient.iter().flatten()) {
            *q += rate * g;
        }
    }

    /// ASNG: Δ grows, and the step shrinks, while directions look random; the other way
    /// round while they agree. β is kept within (0, 1], where the accumulation is an average.
    fn adapt_rate(&mut self, direction: &[f64], norm: f64) {
        self.delta = 1.0 / self.Delta;
        let beta = (self.delta / (self.s.len() as f64).sqrt()).min(1.0);
        let fresh = (beta * (2.0 - beta)).sqrt() / norm;
        for (s, d) in self.s.iter_mut().zip(direction) {
            *s = (1.0 - beta) * *s + fresh * d;
        }
        self.gamma = (1.0 - beta).powi(2) * self.gamma + beta * (2.0 - beta);
        let length_squared: f64 = self.s.iter().map(|s| s * s).sum();
        self.Delta *= (beta * (self.gamma - length_squared / ALPHA)).exp();
    }

    /// Raises every probability to its least and takes the surplus from those above it, in
    /// proportion.
    fn apply_margin(&mut self) {
        for (q, &q_min) in self.q.iter_mut().zip(&self.q_min) {
            q.iter_mut().for_each(|q| *q = q.max(q_min));
            let surplus = q.iter().sum::<f64>() - 1.0;
            let above: f64 = q.iter().map(|q| q - q_min).sum();
            q.iter_mut().for_each(|q| *q -= surplus * (*q - q_min) / above);
            let sum: f64 = q.iter().sum();
            q.iter_mut().for_each(|q| *q /= sum);
        }
    }
}

/// The category whose interval of the cumulative sum of `q` holds `u` in [0, 1).
fn pick(q: &[f64], u: f64) -> usize {
    let mut cumulative = 0.0;
    let reached = |q: &f64| {
        cumulative += q;
        u < cumulative
    };
    q.iter().position(reached).unwrap_or(q.len() - 1)
}
