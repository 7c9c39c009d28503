//! Why an optimizer cannot be had.

use super::kind::names;
use crate::genome::{Domain, Gene};

/// Why an optimizer could not be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptimizerError {
    #[error("unknown optimizer {name:?}: expected {}", names())]
    UnknownKind { name: String },
    #[error("unknown covariance {word:?}: expected \"full\", \"diagonal\" or \"low-rank\"")]
    UnknownCovariance { word: String },
    #[error("unknown restarts {word:?}: expected \"none\", \"ipop\" or \"bipop\"")]
    UnknownRestarts { word: String },
    #[error("no gene can vary: every domain has at most one value, or there are no genes")]
    NothingToSearch,
    #[error("gene {gene:?}: expected finite bounds with low <= high, got {low}..{high}")]
    BadRange { gene: String, low: f64, high: f64 },
    #[error("gene {gene:?}: expected at least one choice, got none")]
    NoChoices { gene: String },
    #[error("gene {gene:?}: expected a start within {low}..{high}, got {initial}")]
    BadStart { gene: String, initial: f64, low: f64, high: f64 },
    #[error("expected a finite sigma above zero, got {got}")]
    BadSigma { got: f64 },
    #[error("expected a population of at least {least}, got {got}")]
    PopulationTooSmall { got: usize, least: usize },
    #[error(
        "expected a population of at most {most} after rounding up to whole workers, got {got}"
    )]
    PopulationTooLarge { got: usize, most: usize },
    #[error("expected at least one worker, got 0")]
    NoWorkers,
    #[error("warm start {candidate} (counted from 0) is not a genotype of this search space")]
    BadWarmStart { candidate: usize },
    #[error("{optimizer} takes at most {most} genes that can vary, got {got}")]
    TooManyGenes { optimizer: &'static str, got: usize, most: usize },
    #[error("warm start, candidate {candidate}: expected {expected} genes, got {got}")]
    WarmStartGenes { candidate: usize, expected: usize, got: usize },
    #[error("warm start, candidate {candidate}: gene {gene:?}: expected {}, got {got:?}", within(.domain))]
    WarmStartGene { candidate: usize, gene: String, got: Gene, domain: Domain },
    #[error(
        "negative weights need a full or diagonal covariance: low rank cannot take variance away"
    )]
    ActiveLowRank,
    #[error("genes that are tied at first cannot be searched with restarts: choose one of the two")]
    RestartsOfTiedGenes,
}

/// What a gene of `domain` may be.
fn within(domain: &Domain) -> String {
    match domain {
        Domain::Continuous { low, high } => format!("a number within {low}..{high}"),
        Domain::Integer { low, high } => format!("a whole number within {low}..{high}"),
        Domain::Categorical { choices } => format!("one of {} categories, from 0", choices.len()),
    }
}
