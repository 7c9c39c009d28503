//! How much the cost of one candidate says about another's.

/// A candidate as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Point {
    /// One entry per coordinate of the encoding, in fractions of the range.
    pub x: Vec<f64>,
    /// One category per categorical gene.
    pub c: Vec<usize>,
}

/// exp(−½ ‖x − x′‖² / (N ℓ_x²) − h / ℓ_c), h the share of differing categories: a squared exponential over N
/// coordinates (Rasmussen & Williams 2006, eq. 4.9) times an exponential over the Hamming distance. Being a product it
/// lets a category move the optimum of a coordinate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kernel {
    /// ln ℓ_x, ln ℓ_c and the logarithm of the noise variance over the signal's.
    pub theta: [f64; 3],
}

/// Centre of the log-normal prior on the hyperparameters: correlation over about the initial distribution's width.
const CENTRE: [f64; 3] = [-0.5, 0.0, -0.7];
/// Standard deviation of the prior in each.
const WIDTH: f64 = 1.5;

impl Default for Kernel {
    fn default() -> Self {
        Self { theta: CENTRE }
    }
}

impl Kernel {
    pub(super) fn correlation(&self, a: &Point, b: &Point) -> f64 {
        let squared: f64 = a.x.iter().zip(&b.x).map(|(a, b)| (a - b) * (a - b)).sum();
        let differing = a.c.iter().zip(&b.c).filter(|(a, b)| a != b).count() as f64;
        let of_coordinates = squared / a.x.len().max(1) as f64 * (-2.0 * self.theta[0]).exp();
        let of_categories = differing / a.c.len().max(1) as f64 * (-self.theta[1]).exp();
        (-0.5 * of_coordinates - of_categories).exp()
    }

    /// Noise variance over signal variance.
    pub(super) fn noise(&self) -> f64 {
        self.theta[2].exp()
    }

    /// Logarithm of the prior density, up to a constant.
    pub(super) fn log_prior(&self) -> f64 {
        let away = |(theta, centre): (&f64, f64)| -0.5 * ((theta - centre) / WIDTH).powi(2);
        self.theta.iter().zip(CENTRE).map(away).sum()
    }
}
