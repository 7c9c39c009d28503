//! Which genes are alike enough to share a value while little is known: by what they decide, then by tensor group, then
//! by depth.

use super::{GeneKey, Place, SearchSpace};

/// Genes of one class have equal keys.
type Class = (GeneKey, Option<usize>);

impl SearchSpace {
    /// For each level, coarsest first, the class of each gene of [`SearchSpace::genes`]: one for each parameter and
    /// expert; the same for each tensor group; then for each half of the layers; at last every gene by itself. Owners of
    /// blocks differ by depth only. Empty where all levels are the last.
    pub fn tying(&self, layers: usize) -> Vec<Vec<usize>> {
        let genes = self.genes(layers);
        let depth = self.depth_count(layers);
        let half = |at: usize| 2 * at / depth.max(1);
        let coarser: [&dyn Fn(GeneKey) -> Class; 3] =
            [&|key| class(key, false, &|_| 0), &|key| class(key, true, &|_| 0), &|key| {
                class(key, true, &half)
            }];
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for of in coarser {
            let classes: Vec<Class> = genes.iter().map(|(key, _)| of(*key)).collect();
            let first =
                |class: &Class| classes.iter().position(|other| other == class).unwrap_or(0);
            levels.push(classes.iter().map(first).collect());
        }
        let apart: Vec<usize> = (0..genes.len()).collect();
        levels.retain(|level| *level != apart);
        levels.dedup();
        if !levels.is_empty() {
            levels.push(apart);
        }
        levels
    }
}

fn class(key: GeneKey, by_group: bool, part: &dyn Fn(usize) -> usize) -> Class {
    match key {
        GeneKey::Parameter(name, place) => {
            let group = if by_group { place.group } else { None };
            let shared = Place { expert: place.expert, group, depth: None };
            (GeneKey::Parameter(name, shared), place.depth.map(part))
        }
        GeneKey::Owner { block } => (GeneKey::Owner { block: 0 }, Some(part(block))),
        other => (other, None),
    }
}
