//! ML1, a synthetic landscape shaped like a merge search: d weights, 8 categorical genes that move
//! the weights' optimum, cost something themselves and interact in pairs; 5 tasks; binomial
//! observation noise.
//!
//! Needs nothing but the standard library, so that a benchmark can include the file too. Every draw
//! is fixed by the instance's seed; the test vectors below come from an independent implementation
//! in Python.

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
    d: usize,
    kstar: [usize; GENES],
    /// `o[i][k]`: where weight i wants to be when its group's gene is k.
    o: Vec<[f64; CHOICES]>,
    alpha: [f64; TASKS],
    nu: Vec<Vec<f64>>,
    h: Vec<Vec<f64>>,
    /// `v[t][r][i]`.
    v: Vec<Vec<Vec<f64>>>,
    b: [[[f64; CHOICES]; GENES]; TASKS],
    e: [[[f64; CHOICES]; CHOICES]; GENES],
    tau: [[f64; CHOICES]; GENES],
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

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-12, "expected {expected}, got {got}");
    }

    #[test]
    fn splitmix64_seed_42() {
        let mut g = SplitMix64(42);
        let drawn = [g.next(), g.next(), g.next()];
        assert_eq!(drawn, [13679457532755275413, 2949826092126892291, 5139283748462763858]);
    }

    /// o00, alpha0, nu00, h00, v000, tau00, F(centre, genes 0), F(ramp, genes g mod 4), time(genes
    /// g mod 4).
    fn check(instance: &Ml1, vector: [f64; 9], accuracies: [f64; TASKS]) {
        let d = instance.d;
        assert_eq!(instance.kstar, [0, 3, 3, 1, 2, 3, 0, 2]);
        let ramp: Vec<f64> = (0..d).map(|i| (i as f64 + 0.5) / d as f64).collect();
        let cycling: Vec<usize> = (0..GENES).map(|g| g % 4).collect();
        let got = [
            instance.o[0][0],
            instance.alpha[0],
            instance.nu[0][0],
            instance.h[0][0],
            instance.v[0][0][0],
            instance.tau[0][0],
            instance.truth(&vec![0.5; d], &[0; GENES]),
            instance.truth(&ramp, &cycling),
            instance.time(&cycling),
        ];
        got.into_iter().zip(vector).for_each(|(got, expected)| close(got, expected));
        instance
            .accuracies(&ramp, &cycling)
            .into_iter()
            .zip(accuracies)
            .for_each(|(got, e)| close(got, e));
    }

    #[test]
    fn instance_1000_with_24_weights() {
        let vector = [
            0.51828879703198,
            1.4379406856387962,
            -1.710406259370863,
            1.0198767910300743,
            0.2577338788949273,
            0.7445659262850313,
            0.5437172837883198,
            0.3391773239412783,
            1.0639920660334672,
        ];
        let accuracies = [
            0.3509226765754585,
            0.25079137689831427,
            0.5678299241297871,
            0.31793194668779867,
            0.28252544571661525,
        ];
        check(&Ml1::new(1000, 24), vector, accuracies);
    }

    #[test]
    fn instance_1000_with_96_weights() {
        let vector = [
            0.51828879703198,
            2.447702853350515,
            0.9189427836533205,
            0.17159074169849273,
            -0.08206861931350411,
            0.4162883781313602,
            0.5626575525517948,
            0.44665231835758495,
            1.063454259428137,
        ];
        let accuracies = [
            0.6825295105785126,
            0.36557746421530213,
            0.6893223400272424,
            0.3933860972660519,
            0.2627276322472757,
        ];
        check(&Ml1::new(1000, 96), vector, accuracies);
    }
}
