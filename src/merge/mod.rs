//! Merging tensors: one file per method, and the plan that turns a recipe into tensors.
//!
//! A recipe is worked out into [`PlannedTensor`]s ([`MergePlan`]). Each is then made ready: what its method has to know
//! of the whole tensor (thresholds, masks, angles, norms) is measured, after which any part of it can be merged alone,
//! block by block, every input read once. Linear merges and the family of task arithmetic never hold a whole
//! tensor; the other methods are free functions over row-major `f32` slices of equal length.
//!
//! Numerics are those of mergekit 0.1.5 with `dtype: float32`: sums over the models in `f32`, in the models' order;
//! sums over elements (norms) in `f64`. A recipe's `dtype` here says what the output is stored as, never the
//! precision of the arithmetic. What the functions take for granted (lengths, number of weights, sum of weights not 0)
//! is checked by [`MergePlan::new`].
mod arcee_fusion;
mod combination;
mod dare;
mod error;
mod geometric_median;
mod gram;
mod karcher;
mod linear;
mod mask;
mod mean_error;
mod model_stock;
mod multislerp;
mod nearswap;
mod nuslerp;
mod passthrough;
mod plan;
mod planner;
mod ram;
mod resolve;
mod sce;
mod slerp;
mod slices;
mod sparsify;
mod sums;
mod task_vector;

pub use arcee_fusion::arcee_fusion;
pub use dare::{Dropout, dare_linear, dare_ties, drop_and_rescale};
pub use error::MergeError;
pub use geometric_median::{Weiszfeld, geometric_median};
pub use karcher::karcher;
pub use linear::linear;
pub use mask::MaskKey;
pub use mean_error::MeanError;
pub use model_stock::model_stock;
pub use multislerp::{SphereMean, multislerp};
pub use nearswap::nearswap;
pub use nuslerp::{VectorAxis, nuslerp};
pub use passthrough::passthrough;
pub use plan::{Input, MergePlan, MergedTensor, PlannedTensor, merge_all, merge_all_parallel};
pub use ram::{Amplification, ram, ramplus_tl};
pub use resolve::Operation;
pub use sce::sce;
pub use slerp::slerp;
pub use task_arithmetic::{Mixing, task_arithmetic};
pub use ties::{ties, trim};

use crate::{checkpoint, recipe};

/// The type a recipe's output is stored as: `out_dtype`, or else `dtype`.
pub fn stored_dtype(recipe: &recipe::Recipe) -> Option<checkpoint::Dtype> {
    recipe.out_dtype.or(recipe.dtype).map(|dtype| match dtype {
        recipe::Dtype::Float32 => checkpoint::Dtype::F32,
        recipe::Dtype::Float16 => checkpoint::Dtype::F16,
        recipe::Dtype::Bfloat16 => checkpoint::Dtype::BF16,
    })
}

#[cfg(test)]
mod method_tests;
#[cfg(test)]
mod tests;
