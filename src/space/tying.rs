//! Which genes are alike enough to share a value while little is known: by what they decide, then by tensor group, then
//! by depth.

use super::{GeneKey, Place, SearchSpace};

/// Genes of one class have equal keys.
type Class = (GeneKey, Option<usize>);

impl SearchSpace {
    /// For each level, coarsest first, the class of each gene of [`SearchSpace::genes`]: one for each parameter and
    /// expert; the same for each tensor group; then for each half of the layers; at last every gene by itself. Owners,
    /// sources and scales of blocks differ by depth only. What is done with a block is each block's own at all levels:
    /// all left out or all standing twice is nothing to begin with. Empty where all levels are the last.
    pub fn tying(&self, layers: usize) -> Vec<Vec<usize>> {
        let genes = self.genes(layers);
        let halves = Halves {
            depth: self.depth_count(layers),
            blocks: self.routing.layers.as_ref().map_or(1, |routing| routing.blocks(layers)),
        };
        let coarser: [&dyn Fn(GeneKey) -> Class; 3] =
            [&|key| class(key, false, None), &|key| class(key, true, None), &|key| {
                class(key, true, Some(&halves))
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

/// How many places along the depth there are to be halved.
struct Halves {
    /// Of the parameters.
    depth: usize,
    /// Of routed layers.
    blocks: usize,
}

fn half(at: usize, of: usize) -> usize {
    2 * at / of.max(1)
}

fn class(key: GeneKey, by_group: bool, halves: Option<&Halves>) -> Class {
    let of_depth = |at: usize| halves.map_or(0, |halves| half(at, halves.depth));
    let of_block = |at: usize| Some(halves.map_or(0, |halves| half(at, halves.blocks)));
    match key {
        GeneKey::Parameter(name, place) => {
            let group = if by_group { place.group } else { None };
            let shared = Place { expert: place.expert, group, depth: None };
            (GeneKey::Parameter(name, shared), place.depth.map(of_depth))
        }
        GeneKey::Owner { block } => (GeneKey::Owner { block: 0 }, Some(of_depth(block))),
        GeneKey::Source { block } => (GeneKey::Source { block: 0 }, of_block(block)),
        GeneKey::BlockScale { block } => (GeneKey::BlockScale { block: 0 }, of_block(block)),
        other => (other, None),
    }
}
