//! Coarse to fine: few genes first, more of them once the few have little left to give.
//!
//! At each level genes of one class share a value, so that [`CatCma`] searches one gene per class. A level ends when the
//! step size, which grows while generations agree on a direction and shrinks while they do not, says that the tied
//! genes have converged; then every class falls apart into those of the next level, at the values, the step size and the covariance reached.

use super::{CatCma, Costs, Optimizer, OptimizerError, Restarts, Settings};
use crate::genome::{Dimension, Gene, Genotype};
use crate::units::Seed;

/// A level ends once the spread of its distribution is this share of what it began with. Lower is better where genes of a
/// class want nearly one value, and costs more where they do not: then all that is scored before the last level is lost.
const CONVERGED: f64 = 0.7;
/// Variance of the differences between genes that were tied, as a share of what they had in common.
const WITHIN: f64 = 1.0;

/// [`CatCma`] over classes of genes, level by level.
#[derive(Debug, Clone)]
pub struct CoarseToFine {
    levels: Vec<Level>,
    level: usize,
    inner: CatCma,
    /// Of the distribution when the level began.
    spread: Option<f64>,
}

/// Which genes share a value.
#[derive(Debug, Clone, PartialEq)]
struct Level {
    /// Of each gene.
    class: Vec<usize>,
    /// The first gene of each class.
    first: Vec<usize>,
    /// The first gene's dimension.
    dimensions: Vec<Dimension>,
}

impl CoarseToFine {
    /// Starts at the coarsest of the levels that can express every warm start. `tying` has for each level, coarsest
    /// first, a class for each gene (any numbers); a last level with every gene by itself is added. Genes are told apart
    /// where their domains or starts differ, whatever `tying` says, and so are those that an earlier (coarser) level told apart.
    ///
    /// # Errors
    /// As [`build`](super::build).
    pub fn new(
        dimensions: &[Dimension],
        seed: Seed,
        settings: &Settings,
        tying: &[Vec<usize>],
    ) -> Result<Self, OptimizerError> {
        if settings.restarts != Restarts::None {
            return Err(OptimizerError::RestartsOfTiedGenes);
        }
        for (candidate, start) in settings.warm_start.iter().enumerate() {
            let (expected, got) = (dimensions.len(), start.0.len());
            if expected != got {
                return Err(OptimizerError::WarmStartGenes { candidate, expected, got });
            }
        }
        let levels = levels(dimensions, tying);
        let tells = |level: &Level| settings.warm_start.iter().all(|start| level.expresses(start));
        let level = levels.iter().position(tells).unwrap_or(levels.len() - 1);
        let starts = settings.warm_start.iter().map(|start| levels[level].tied(start)).collect();
        let finest = super::encoding::Encoding::new(dimensions)?.genes();
        // One population for all levels: a run's record and its workers count on it.
        let population = Some(settings.population_size(finest)?);
        let settings = Settings { population, warm_start: starts, ..settings.clone() };
        let inner = CatCma::new(&levels[level].dimensions, seed, &settings)?;
        let spread = inner.spread();
        Ok(Self { levels, level, inner, spread })
    }

    /// Number of values that are searched at each level, coarsest first; the last is that of the genes.
    pub fn genes_per_level(dimensions: &[Dimension], tying: &[Vec<usize>]) -> Vec<usize> {
        levels(dimensions, tying).iter().map(|level| level.first.len()).collect()
    }

    /// Index of the level that is being searched.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Without coordinates there is no step size to tell by, and nothing is tied for long.
    fn has_converged(&self) -> bool {
        match (self.inner.spread(), self.spread) {
            (Some(now), Some(begun)) => now < CONVERGED * begun,
            _ => true,
        }
    }

    fn split(&mut self) {
        let (coarse, fine) = (&self.levels[self.level], &self.levels[self.level + 1]);
        let parents: Vec<usize> = fine.first.iter().map(|&gene| coarse.class[gene]).collect();
        if let Ok(inner) = self.inner.refined(&fine.dimensions, &parents, WITHIN) {
            self.inner = inner;
            self.spread = self.inner.spread();
            self.level += 1;
        }
    }
}

impl Optimizer for CoarseToFine {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn population_size(&self) -> usize {
        self.inner.population_size()
    }

    fn generation(&self) -> u64 {
        self.inner.generation()
    }

    fn recommends_learnt(&self) -> bool {
        true
    }

    fn ask(&self) -> Vec<Genotype> {
        let level = &self.levels[self.level];
        self.inner.ask().iter().map(|values| level.untied(values)).collect()
    }

    fn tell(&mut self, told: &[(Genotype, Costs)]) {
        let level = &self.levels[self.level];
        let tied: Vec<(Genotype, Costs)> = (told.iter())
            .filter(|(genotype, _)| level.expresses(genotype))
            .map(|(genotype, costs)| (level.tied(genotype), costs.clone()))
            .collect();
        self.inner.tell(&tied);
        if self.level + 1 < self.levels.len() && self.has_converged() {
            self.split();
        }
    }

    fn recommend(&self) -> Vec<Genotype> {
        let level = &self.levels[self.level];
        self.inner.recommend().iter().map(|values| level.untied(values)).collect()
    }
}

impl Level {
    /// Of genes that `class` puts together and `coarser` and their domains do not tell apart.
    fn new(dimensions: &[Dimension], class: &[usize], coarser: Option<&Level>) -> Self {
        let mut level = Self { class: Vec::new(), first: Vec::new(), dimensions: Vec::new() };
        for (gene, dimension) in dimensions.iter().enumerate() {
            let same = |&other: &usize| {
                class.get(other) == class.get(gene)
                    && coarser.is_none_or(|level| level.class[other] == level.class[gene])
                    && alike(&dimensions[other], dimension)
            };
            let found = level.first.iter().position(same);
            level.class.push(found.unwrap_or(level.first.len()));
            if found.is_none() {
                level.first.push(gene);
                level.dimensions.push(dimension.clone());
            }
        }
        level
    }

    /// One value per class.
    fn tied(&self, genotype: &Genotype) -> Genotype {
        Genotype(self.first.iter().filter_map(|&gene| genotype.0.get(gene).copied()).collect())
    }

    /// One value per gene.
    fn untied(&self, values: &Genotype) -> Genotype {
        Genotype(self.class.iter().filter_map(|&class| values.0.get(class).copied()).collect())
    }

    /// Whether genes of one class have one value.
    fn expresses(&self, genotype: &Genotype) -> bool {
        let mut genes = genotype.0.iter().zip(&self.class);
        let first = |class: usize| genotype.0.get(self.first[class]);
        genotype.0.len() == self.class.len()
            && genes.all(|(gene, &class)| first(class).is_some_and(|first| close(first, gene)))
    }
}

/// Values that differ by rounding only are one value.
fn close(a: &Gene, b: &Gene) -> bool {
    match (a, b) {
        (Gene::Real(a), Gene::Real(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
        _ => a == b,
    }
}

fn alike(a: &Dimension, b: &Dimension) -> bool {
    a.domain == b.domain && a.initial == b.initial
}

/// Each once, coarsest first; the last has every gene that varies by itself.
fn levels(dimensions: &[Dimension], tying: &[Vec<usize>]) -> Vec<Level> {
    let apart: Vec<usize> = (0..dimensions.len()).collect();
    let mut levels: Vec<Level> = Vec::new();
    for class in tying.iter().chain([&apart]) {
        let level = Level::new(dimensions, class, levels.last());
        if levels.last() != Some(&level) {
            levels.push(level);
        }
    }
    levels
}
