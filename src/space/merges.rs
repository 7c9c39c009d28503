//! All genes of a space: those of each merge that documents can be sent to, and those of the routers.

use super::{Dimension, GeneKey, SearchSpace};

/// A gene: of which merge, and what it decides. Of merge 0 are those too that no merge has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GeneId {
    /// As [`crate::recipe::Recipe::merge`] counts.
    pub merge: usize,
    /// What is decided.
    pub key: GeneKey,
}

impl SearchSpace {
    /// Every gene, in the order of the genotype, for a base model of `layers` layers. The genes of merge 0 have the names
    /// that they have without a document router; those of merge `i` begin with `merge<i>.`.
    pub fn genes(&self, layers: usize) -> Vec<(GeneId, Dimension)> {
        let mut genes = Vec::new();
        for merge in 0..self.merges() {
            let own = self.merge_genes(layers).into_iter().chain(self.token_genes(layers));
            genes.extend(own.map(|(key, gene)| (GeneId { merge, key }, of_merge(gene, merge))));
        }
        let shared = self.document_genes().into_iter().chain(self.prompt_genes());
        genes.extend(shared.map(|(key, gene)| (GeneId { merge: 0, key }, gene)));
        genes
    }
}

fn of_merge(gene: Dimension, merge: usize) -> Dimension {
    match merge {
        0 => gene,
        _ => Dimension { name: format!("merge{merge}.{}", gene.name), ..gene },
    }
}
