//! ML1, a synthetic landscape shaped like a merge search: d weights, 8 categorical genes that move
//! the weights' optimum, cost something themselves and interact in pairs; 5 tasks; binomial
//! observation noise.
//!
//! Needs nothing but the standard library, so that a benchmark can include the file too. Every draw
//! is fixed by the instance's seed; the test vectors in `ml1_vectors.rs` come from an independent
//! implementation in Python.

mod optimum;

pub const TASKS: usize = 5;
pub const GENES: usize = 8;
pub const CHOICES: usize = 4;
const RANK: usize = 2;
const CHANCE: [f64; TASKS] = [0.25, 0.25, 0.5, 0.2, 0.25];

/// Steele, Lea & Flood's generator: 64 bits of state, one addition and two multiplications per
/// draw.
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 * 2.0_f64.powi(-53)
    }

    fn normal(&mut self) -> f64 {
        let (u1, u2) = (self.uniform(), self.uniform());
        (-2.0 * (1.0 - u1).ln()).sqrt() * (std::f64::consts::TAU * u2).cos()
    }
}

/// One instance over `d` weights in [0, 1].
pub struct Ml1 {
    pub d: usize,
    pub kstar: [usize; GENES],
    /// `o[i][k]`: where weight i wants to be when its group's gene is k.
    pub o: Vec<[f64; CHOICES]>,
    pub alpha: [f64; TASKS],
    pub nu: Vec<Vec<f64>>,
    pub h: Vec<Vec<f64>>,
    /// `v[t][r][i]`.
    pub v: Vec<Vec<Vec<f64>>>,
    pub b: [[[f64; CHOICES]; GENES]; TASKS],
    pub e: [[[f64; CHOICES]; CHOICES]; GENES],
    pub tau: [[f64; CHOICES]; GENES],
}

fn draw<T: Default + Copy, const N: usize>(mut f: impl FnMut() -> T) -> [T; N] {
    let mut drawn = [T::default(); N];
    drawn.iter_mut().for_each(|x| *x = f());
    drawn
}

impl Ml1 {
    pub fn new(seed: u64, d: usize) -> Self {
        let g = &mut SplitMix64(seed);
        let mut instance = Self {
            d,
            kstar: draw(|| (4.0 * g.uniform()) as usize),
            o: (0..d).map(|_| draw(|| 0.1 + 0.8 * g.uniform())).collect(),
            alpha: draw(|| 1.0 + 1.5 * g.uniform()),
            nu: (0..TASKS).map(|_| (0..d).map(|_| g.normal()).collect()).collect(),
            h: (0..TASKS)
                .map(|_| (0..d).map(|_| 10.0_f64.powf(1.5 * g.uniform() - 1.0)).collect())
                .collect(),
            v: (0..TASKS)
                .map(|_| (0..RANK).map(|_| (0..d).map(|_| g.normal()).collect()).collect())
                .collect(),
            b: draw(|| draw(|| draw(|| 0.2 + 0.8 * g.uniform()))),
            e: draw(|| draw(|| draw(|| 0.3 * g.uniform()))),
            tau: draw(|| draw(|| g.uniform())),
        };
        instance.plant();
        instance
    }

    fn plant(&mut self) {
        for (gene, &k) in self.kstar.iter().enumerate() {
            self.b.iter_mut().for_each(|b| b[gene][k] = 0.0);
            self.e[gene][k][self.kstar[(gene + 1) % GENES]] = 0.0;
        }
    }

    /// How far the weights are from where task `t` wants them.
    fn delta(&self, t: usize, x: &[f64], c: &[usize]) -> Vec<f64> {
        let delta = |i: usize| {
            let target = self.o[i][c[i * GENES / self.d]] + 0.1 * self.nu[t][i];
            x[i] - target.clamp(0.0, 1.0)
        };
        (0..self.d).map(delta).collect()
    }

    fn quadratic(&self, t: usize, x: &[f64], c: &[usize]) -> f64 {
        let delta = self.delta(t, x, c);
        let separable: f64 = self.h[t].iter().zip(&delta).map(|(h, d)| h * d * d).sum();
        let along = |v: &Vec<f64>| v.iter().zip(&delta).map(|(v, d)| v * d).sum::<f64>().powi(2);
        (separable + self.v[t].iter().map(along).sum::<f64>()) / self.d as f64
    }

    fn penalty(&self, t: usize, c: &[usize]) -> f64 {
        let of_gene = |g: usize| self.b[t][g][c[g]] + self.e[g][c[g]][c[(g + 1) % GENES]];
        (0..GENES).map(of_gene).sum::<f64>() / GENES as f64
    }

    /// True accuracy on each task of weights `x` and genes `c`.
    pub fn accuracies(&self, x: &[f64], c: &[usize]) -> [f64; TASKS] {
        std::array::from_fn(|t| {
            let logit = self.alpha[t] - 6.0 * self.quadratic(t, x, c) - 2.0 * self.penalty(t, c);
            CHANCE[t] + (1.0 - CHANCE[t]) / (1.0 + (-logit).exp())
        })
    }

    /// F: geometric mean of the true accuracies.
    pub fn truth(&self, x: &[f64], c: &[usize]) -> f64 {
        geometric_mean(self.accuracies(x, c))
    }

    /// F as measured on `items` items per task, each correct with the true accuracy: geometric mean
    /// of (k + 1/2) / (n + 1).
    pub fn observed(&self, x: &[f64], c: &[usize], items: u32, noise: &mut SplitMix64) -> f64 {
        geometric_mean(self.accuracies(x, c).map(|accuracy| {
            let correct = (0..items).filter(|_| noise.uniform() < accuracy).count();
            (correct as f64 + 0.5) / (f64::from(items) + 1.0)
        }))
    }

    /// Seconds per item with genes `c`.
    pub fn time(&self, c: &[usize]) -> f64 {
        0.5 + (0..GENES).map(|g| self.tau[g][c[g]]).sum::<f64>() / GENES as f64
    }

    /// How many of the planted genes `c` has.
    pub fn genes_right(&self, c: &[usize]) -> usize {
        self.kstar.iter().zip(c).filter(|(a, b)| a == b).count()
    }
}

fn geometric_mean(accuracies: [f64; TASKS]) -> f64 {
    (accuracies.map(f64::ln).iter().sum::<f64>() / TASKS as f64).exp()
}
