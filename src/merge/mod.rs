//! Merging tensors: one file per method, and the plan that turns a recipe into tensors.
//!
//! The methods are free functions over row-major `f32` slices of equal length; a tensor's shape has no influence.
//! Numerics are those of mergekit 0.1.5 with `dtype: float32`: sums over the models in `f32`, in the models' order;
//! sums over elements (norms) in `f64`. A recipe's `dtype` here says what the output is stored as, never the
//! precision of the arithmetic. What the functions take for granted (lengths, number of weights, sum of weights not 0)
//! is checked by [`MergePlan::new`].
mod dare;
mod error;
mod linear;
mod mask;
mod passthrough;
mod plan;
mod planner;
mod resolve;
mod slerp;
mod slices;
mod sums;
mod task_arithmetic;
mod ties;
mod vocabulary;

pub use dare::{Dropout, dare_linear, dare_ties, drop_and_rescale};
pub use error::MergeError;
pub use linear::linear;
pub use mask::MaskKey;
pub use passthrough::passthrough;
pub use plan::{Input, MergePlan, MergedTensor, PlannedTensor, merge_all, merge_all_parallel};
pub use resolve::Operation;
pub use slerp::slerp;
pub use task_arithmetic::{Mixing, task_arithmetic};
pub use ties::{ties, trim};
pub use vocabulary::{
    Alignment, Row, TokenAxis, TokenTensor, Vocabulary, VocabularyError, chat_template,
    write_chat_template,
};

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
mod tests;
