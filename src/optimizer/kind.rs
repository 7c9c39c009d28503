//! The optimizers by name.

use std::fmt;
use std::str::FromStr;

use super::{CatCma, OptimizerError, RandomSearch};

/// The optimizers that can be chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptimizerKind {
    /// `cat-cma`: [`CatCma`].
    CatCma,
    /// `random`: [`RandomSearch`].
    Random,
}

impl fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CatCma => CatCma::NAME,
            Self::Random => RandomSearch::NAME,
        })
    }
}

impl FromStr for OptimizerKind {
    type Err = OptimizerError;

    fn from_str(name: &str) -> Result<Self, OptimizerError> {
        match name {
            CatCma::NAME | "cma-es" => Ok(Self::CatCma),
            RandomSearch::NAME => Ok(Self::Random),
            _ => Err(OptimizerError::UnknownKind { name: name.to_owned() }),
        }
    }
}
