//! Which genes are alike enough to share a value while little is known: by what they decide, then by tensor group, then
//! by depth.

use super::{GeneId, GeneKey, Place, SearchSpace};

/// Genes of one class have equal keys.
type Class = (GeneId, Option<usize>);

impl SearchSpace {
    /// For each level, coarsest first, the class of each gene of [`SearchSpace::genes`]: one for each parameter and
    /// expert; the same for each tensor group; then for each half of the layers; at last every gene by itself. Owners,
    /// sources and scales of blocks, and whether they are routed, differ by depth only. What is done with a block is each
    /// block's own at all levels: all left out or all standing twice is nothing to begin with. Merges have nothing in common.
    /// Empty where all levels are the last.
    pub fn tying(&self, layers: usize) -> Vec<Vec<usize>> {
        let genes = self.genes(layers);
        let half = |key: GeneKey, at: usize| {
            let depth = match key {
                GeneKey::Routed { .. } => self.token_blocks(layers),
                GeneKey::Source { .. } | GeneKey::BlockScale { .. } => {
                    self.routing.layers.as_ref().map_or(1, |routing| routing.blocks(layers))
                }
                _ => self.depth_count(layers),
            };
            2 * at / depth.max(1)
        };
        let coarser: [&dyn Fn(GeneId) -> Class; 3] =
            [&|id| class(id, false, &|_, _| 0), &|id| class(id, true, &|_, _| 0), &|id| {
                class(id, true, &half)
            }];
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for of in coarser {
            let classes: Vec<Class> = genes.iter().map(|(id, _)| of(*id)).collect();
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

fn class(id: GeneId, by_group: bool, part: &dyn Fn(GeneKey, usize) -> usize) -> Class {
    let key = id.key;
    let (shared, part) = match key {
        GeneKey::Parameter(name, place) => {
            let group = if by_group { place.group } else { None };
            let shared = Place { expert: place.expert, group, depth: None };
            (GeneKey::Parameter(name, shared), place.depth.map(|depth| part(key, depth)))
        }
        GeneKey::Owner { block } => (GeneKey::Owner { block: 0 }, Some(part(key, block))),
        GeneKey::Source { block } => (GeneKey::Source { block: 0 }, Some(part(key, block))),
        GeneKey::BlockScale { block } => (GeneKey::BlockScale { block: 0 }, Some(part(key, block))),
        GeneKey::Routed { block } => (GeneKey::Routed { block: 0 }, Some(part(key, block))),
        other => (other, None),
    };
    (GeneId { key: shared, ..id }, part)
}
