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
mod apply;
mod arcee_fusion;
mod combination;
mod cut;
mod della;
mod error;
mod fused;
mod gates;
mod geometric_median;
mod gram;
mod karcher;
mod kernels;
mod magnitudes;
mod mask;
mod mean_error;
mod mixtral_config;
mod mixture;
mod model_stock;
mod multislerp;
mod nearswap;
mod nuslerp;
mod operation;
mod output_config;
mod plan;
mod planner;
mod prepared;
mod ram;
mod ready;
mod resolve;
mod sce;
mod slerp;
mod slices;
mod sparsify;
mod sums;
mod task_vector;
mod vocabulary;

pub use arcee_fusion::arcee_fusion;
pub use error::MergeError;
pub use gates::{Given, LayerGates, Prototype};
pub use geometric_median::{Weiszfeld, geometric_median};
pub use karcher::karcher;
pub use mask::MaskKey;
pub use mean_error::MeanError;
pub use mixture::token_router;
pub use model_stock::model_stock;
pub use multislerp::{SphereMean, multislerp};
pub use nearswap::nearswap;
pub use nuslerp::{VectorAxis, nuslerp};
pub use operation::{Mixing, Operation, TaskVectors};
pub use plan::{Input, MergePlan, MergedTensor, PlannedTensor, merge_all, merge_all_parallel};
pub use planner::reference;
pub use prepared::Prepared;
pub use ram::{Amplification, ram, ramplus_tl};
pub use sce::sce;
pub use slerp::slerp_coefficients;
pub use sparsify::Sparsifier;
pub use vocabulary::{
    Alignment, Row, TokenAxis, TokenTensor, Vocabulary, VocabularyError, chat_template, tokenizer,
    write_chat_template,
};

#[cfg(test)]
mod method_tests;
#[cfg(test)]
mod tests;
