//! The covariance matrix C, in one of the forms that [`Covariance`] names.

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use super::diagonal::Diagonal;
use super::full::Full;
use super::low_rank::LowRank;
use super::rates::Rates;
use crate::optimizer::Covariance;

/// C and how to draw from it.
#[derive(Debug, Clone)]
pub(in crate::optimizer) enum Shape {
    Full(Full),
    Diagonal(Diagonal),
    LowRank(LowRank),
}

/// What one generation changes in C: C ← decay · C + c_1 p_c p_cᵀ + c_mu Σ w y yᵀ.
pub(super) struct Step<'a> {
    pub(super) decay: f64,
    pub(super) c_1: f64,
    pub(super) c_mu: f64,
    pub(super) p_c: &'a DVector<f64>,
    pub(super) y: &'a [DVector<f64>],
    pub(super) weights: &'a [f64],
}

impl Shape {
    /// The identity over `n` coordinates.
    pub(super) fn new(covariance: Covariance, n: usize, rates: &Rates) -> Self {
        match covariance {
            Covariance::Full => Self::Full(Full::new(n, rates.c_1 + rates.c_mu)),
            Covariance::Diagonal => Self::Diagonal(Diagonal::new(n)),
            Covariance::LowRank => Self::LowRank(LowRank::new(n)),
        }
    }

    /// C itself.
    pub(in crate::optimizer) fn matrix(&self) -> DMatrix<f64> {
        match self {
            Self::Full(shape) => shape.C.clone(),
            Self::Diagonal(shape) => DMatrix::from_diagonal(&shape.variances),
            Self::LowRank(shape) => shape.matrix(),
        }
    }

    /// Another C, of which shapes with fewer numbers keep the diagonal.
    pub(in crate::optimizer) fn set(&mut self, c: DMatrix<f64>) {
        match self {
            Self::Full(shape) => shape.set(c),
            Self::Diagonal(shape) => shape.variances = c.diagonal(),
            Self::LowRank(shape) => shape.set_diagonal(&c.diagonal()),
        }
    }

    /// y ~ N(0, C).
    pub(super) fn draw(&self, rng: &mut impl Rng) -> DVector<f64> {
        match self {
            Self::Full(shape) => shape.draw(rng),
            Self::Diagonal(shape) => shape.draw(rng),
            Self::LowRank(shape) => shape.draw(rng),
        }
    }

    /// `y` in coordinates in which C is the identity.
    pub(super) fn whitened(&self, y: &DVector<f64>) -> DVector<f64> {
        match self {
            Self::Full(shape) => shape.whitened(y),
            Self::Diagonal(shape) => shape.whitened(y),
            Self::LowRank(shape) => shape.whitened(y),
        }
    }

    pub(super) fn update(&mut self, step: &Step) {
        match self {
            Self::Full(shape) => shape.update(step),
            Self::Diagonal(shape) => shape.update(step),
            Self::LowRank(shape) => shape.update(step),
        }
    }

    /// The diagonal of C.
    pub(in crate::optimizer) fn variances(&self) -> DVector<f64> {
        match self {
            Self::Full(shape) => shape.C.diagonal(),
            Self::Diagonal(shape) => shape.variances.clone(),
            Self::LowRank(shape) => shape.variances(),
        }
    }

    /// (least, largest) standard deviation over all directions.
    pub(super) fn deviations(&self) -> (f64, f64) {
        match self {
            Self::Full(shape) => (shape.D.min(), shape.D.max()),
            Self::Diagonal(shape) => (shape.variances.min().sqrt(), shape.variances.max().sqrt()),
            Self::LowRank(shape) => shape.deviations(),
        }
    }

    /// A principal axis, another one each `generation`; `None` where axes are not known or are the
    /// coordinates'.
    pub(super) fn axis(&self, generation: usize) -> Option<DVector<f64>> {
        match self {
            Self::Full(shape) => Some(shape.axis(generation % shape.D.len())),
            Self::Diagonal(_) | Self::LowRank(_) => None,
        }
    }
}
