//! A point of the search space: one gene per dimension, and its translation into a [`Recipe`](crate::recipe::Recipe).
//!
//! The optimizer deals in [`Genotype`]s only; what a gene means is known here and in [`crate::space`].

mod account;
mod baselines;
mod compare;
mod decode;
mod encode;
mod encode_routing;
mod error;
mod filters;
mod layered;
mod layers;
mod parents;
mod probe;
mod routing;
mod runs;
mod structure;
mod unlaid;
mod values;

pub use crate::space::{Dimension, Domain};
pub use baselines::{passthrough_of, uniform_average};
pub use decode::Decoder;
pub use error::{DecoderError, Difference, EncodeError};
pub use filters::{GroupFilters, Landmarks};

/// One gene's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gene {
    /// Of a [`Domain::Continuous`].
    Real(f64),
    /// Of a [`Domain::Integer`].
    Integer(i64),
    /// Index into the choices of a [`Domain::Categorical`].
    Category(usize),
}

/// One value per [`Dimension`], in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Genotype(pub Vec<Gene>);
