use crate::recipe::RescaleRule;

use super::{Given, Sparsifier};

/// A method with the parameters that hold for one tensor; lists have one entry per model, without the base where the
/// method sets it apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// `Σ w x`, divided by `Σ w` if `normalize` (model soups, arXiv:2203.05482).
    Linear { weights: Vec<f32>, normalize: bool },
    /// [`super::slerp_coefficients`].
    Slerp { t: f64 },
    /// Task arithmetic and all that only differs in what it leaves out and how it mixes.
    TaskVectors(TaskVectors),
    /// [`super::nuslerp()`].
    Nuslerp { weights: Vec<f64>, row_wise: bool, flatten: bool },
    /// [`super::multislerp()`].
    Multislerp { weights: Vec<f64>, normalize_weights: bool, eps: f64 },
    /// [`super::karcher()`].
    Karcher { max_iter: usize, tol: f64 },
    /// [`super::sce()`].
    Sce { select_topk: f64 },
    /// [`super::ram()`].
    Ram { epsilon: f64 },
    /// [`super::ramplus_tl()`].
    RamplusTl { r: f64, alpha: f64, epsilon: f64 },
    /// [`super::model_stock()`].
    ModelStock { filter_wise: bool },
    /// [`super::nearswap()`].
    Nearswap { t: f64 },
    /// [`super::arcee_fusion()`].
    ArceeFusion,
    /// [`super::geometric_median()`].
    GeometricMedian { weights: Vec<f64>, lambda: f64, max_iter: usize, tol: f64 },
    /// The model at that place among the inputs, as it is.
    Take { input: usize },
    /// The first model times a factor.
    Passthrough { scale: f32 },
    /// The base model as it is.
    KeepBase,
    /// These values; no model is read.
    Given(Given),
}

impl Operation {
    /// Whether random masks are drawn, by the tensor's name among others.
    pub fn draws_masks(&self) -> bool {
        let is_random = |sparsifier: &Sparsifier| {
            matches!(sparsifier, Sparsifier::Random { .. } | Sparsifier::Ranked { .. })
        };
        matches!(self, Operation::TaskVectors(own) if own.sparsifiers.iter().any(is_random))
    }
}

/// `base + λ Σ w s(x − base)`, where `s` leaves elements out and rescales.
///
/// | method | sparsifier | `elect_sign` |
/// |---|---|---|
/// | task arithmetic (arXiv:2212.04089) | none | no |
/// | TIES (arXiv:2306.01708, algorithm 1) | magnitude | yes |
/// | DARE (arXiv:2311.03099) | random | `dare_ties` |
/// | DELLA (arXiv:2406.11617) | ranked | `della` |
/// | breadcrumbs (arXiv:2312.06795) | outliers | `breadcrumbs_ties` |
#[derive(Debug, Clone, PartialEq)]
pub struct TaskVectors {
    /// One per expert.
    pub weights: Vec<f32>,
    /// One per expert.
    pub sparsifiers: Vec<Sparsifier>,
    /// How what is kept makes up for what is not.
    pub rescale: Option<RescaleRule>,
    /// The recipe's, for random sparsifiers; 0 for the others.
    pub mask_seed: u64,
    /// Whether each element takes the sign of the weighted sum, and only experts of that sign take part.
    pub elect_sign: bool,
    /// How the result is put on the base.
    pub mixing: Mixing,
}

/// How the mixed task vector is put on the base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixing {
    /// Divide by the sum of the weights that took part.
    pub normalize: bool,
    /// Factor on the whole.
    pub lambda: f32,
}
