//! Known good candidates: checked against the space, put into the optimizer's own coordinates.

use super::OptimizerError;
use super::encoding::Encoding;
use crate::genome::{Dimension, Domain, Gene, Genotype};

/// A candidate that the user gave, in the optimizer's coordinates too.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) genotype: Genotype,
    pub(super) v: Vec<f64>,
    pub(super) c: Vec<usize>,
}

/// The candidates of `warm_start`, encoded.
///
/// # Errors
/// When one has another number of genes than the space, or a gene of another kind or outside its
/// domain.
pub(super) fn given(
    dimensions: &[Dimension],
    encoding: &Encoding,
    warm_start: &[Genotype],
) -> Result<Vec<Given>, OptimizerError> {
    let encoded = |(candidate, genotype): (usize, &Genotype)| {
        check(dimensions, candidate, genotype)?;
        let (v, c) = encoding.encode(genotype);
        Ok(Given { genotype: genotype.clone(), v, c })
    };
    warm_start.iter().enumerate().map(encoded).collect()
}

fn check(
    dimensions: &[Dimension],
    candidate: usize,
    genotype: &Genotype,
) -> Result<(), OptimizerError> {
    let (expected, got) = (dimensions.len(), genotype.0.len());
    if expected != got {
        return Err(OptimizerError::WarmStartGenes { candidate, expected, got });
    }
    match dimensions.iter().zip(&genotype.0).find(|(dimension, gene)| !fits(dimension, gene)) {
        None => Ok(()),
        Some((dimension, &got)) => Err(OptimizerError::WarmStartGene {
            candidate,
            gene: dimension.name.clone(),
            got,
            domain: dimension.domain.clone(),
        }),
    }
}

fn fits(dimension: &Dimension, gene: &Gene) -> bool {
    match (&dimension.domain, gene) {
        (Domain::Continuous { low, high }, Gene::Real(x)) => (low..=high).contains(&x),
        (Domain::Integer { low, high }, Gene::Integer(z)) => (low..=high).contains(&z),
        (Domain::Categorical { choices }, Gene::Category(k)) => *k < choices.len(),
        _ => false,
    }
}
