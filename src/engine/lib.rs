//! The part of merge-search whose speed decides how many candidates a search sees: models and datasets come in ([`hub`],
//! [`checkpoint`], [`task`]), a [`recipe`] is merged ([`merge`]) and scored ([`model`], [`evaluate`]), an [`outcome`] goes out.
//!
//! The crate `merge-search` has all of these modules under their own names, and its documentation explains how they fit together.
pub mod checkpoint;
pub mod evaluate;
pub mod hub;
pub mod merge;
pub mod model;
pub mod outcome;
pub mod recipe;
mod simd;
pub mod task;
pub mod units;
