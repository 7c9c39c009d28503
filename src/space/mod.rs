//! The search space.
mod domain;
pub use domain::{Dimension, Domain};
