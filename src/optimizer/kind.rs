//! The optimizers by name.

use std::fmt;
use std::str::FromStr;

use super::{CatCma, Genetic, Nsga2, OptimizerError, RandomSearch, ScalarisedCma};

/// The optimizers that can be chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptimizerKind {
    /// `cat-cma`: [`CatCma`].
    CatCma,
    /// `nsga2`: [`Nsga2`].
    Nsga2,
    /// `scalarised-cma`: [`ScalarisedCma`].
    ScalarisedCma,
    /// `ga`: [`Genetic`].
    Genetic,
    /// `random`: [`RandomSearch`].
    Random,
}

impl fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CatCma => CatCma::NAME,
            Self::Nsga2 => Nsga2::NAME,
            Self::ScalarisedCma => ScalarisedCma::NAME,
            Self::Genetic => Genetic::NAME,
            Self::Random => RandomSearch::NAME,
        })
    }
}

impl FromStr for OptimizerKind {
    type Err = OptimizerError;

    fn from_str(name: &str) -> Result<Self, OptimizerError> {
        match name {
            CatCma::NAME | "cma-es" => Ok(Self::CatCma),
            Nsga2::NAME => Ok(Self::Nsga2),
            ScalarisedCma::NAME => Ok(Self::ScalarisedCma),
            Genetic::NAME => Ok(Self::Genetic),
            RandomSearch::NAME => Ok(Self::Random),
            _ => Err(OptimizerError::UnknownKind { name: name.to_owned() }),
        }
    }
}
