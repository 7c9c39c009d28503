//! The best genotypes of an earlier run, as genes of another space: matched by name.

use super::{GeneColumn, RecordError, RunFolder, TrialKind};
use crate::genome::{Dimension, Domain, Gene, Genotype};
use crate::units::Split;

/// What an earlier run has to offer to a space.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transfer {
    /// Best first, each once, in the order of the space's genes.
    pub genotypes: Vec<Genotype>,
    /// Genes of the space that the run did not have, or of another kind; they are as in the genotype given.
    pub missing: Vec<String>,
    /// Genes of the run that the space does not have.
    pub ignored: Vec<String>,
    /// Genes of which the better trials have values that the space does not allow; those trials are left out.
    pub outside: Vec<String>,
}

impl RunFolder {
    /// The run's `most` best: its finalists by the selection split, then its candidates by the search split, those that
    /// went farther in their race first. Genes that the run does not have are as in `start`; a run with fewer merges than the
    /// space has the genes of its first for the others too.
    ///
    /// # Errors
    /// As [`RunFolder::trials`].
    pub fn transfer(
        &self,
        dimensions: &[Dimension],
        start: &Genotype,
        most: usize,
    ) -> Result<Transfer, RecordError> {
        let moves = Moves::new(&self.manifest.genes, dimensions, start);
        let mut transfer = moves.unmatched();
        for genotype in self.ranked()? {
            if transfer.genotypes.len() == most {
                break;
            }
            match moves.moved(&genotype) {
                Ok(genotype) if !transfer.genotypes.contains(&genotype) => {
                    transfer.genotypes.push(genotype);
                }
                Err(gene) if !transfer.outside.contains(&gene) => transfer.outside.push(gene),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(transfer)
    }

    /// Every genotype with a score, best first.
    fn ranked(&self) -> Result<Vec<Genotype>, RecordError> {
        let mut scored: Vec<((bool, u32), f64, Genotype)> = Vec::new();
        self.visit(|trial| {
            let last = trial.kind == TrialKind::Final && trial.split == Split::Selection;
            let wanted =
                last || (trial.kind == TrialKind::Candidate && trial.split == Split::Search);
            if let (true, Some(score), Some(genotype)) = (wanted, trial.objective, trial.genotype) {
                // A part of the split flatters: such a trial counts with the lower end of its interval.
                let merit = if trial.docs.is_some() { score.low } else { score.value };
                scored.push(((last, trial.rung), merit, genotype));
            }
        })?;
        scored.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
        Ok(scored.into_iter().map(|(_, _, genotype)| genotype).collect())
    }
}

/// From the genes of a run to those of a space.
struct Moves<'a> {
    genes: &'a [GeneColumn],
    dimensions: &'a [Dimension],
    start: &'a Genotype,
    /// Of each dimension, the index of the run's gene.
    from: Vec<Option<usize>>,
}

impl<'a> Moves<'a> {
    fn new(genes: &'a [GeneColumn], dimensions: &'a [Dimension], start: &'a Genotype) -> Self {
        let find = |name: &str, to: &Dimension| {
            let known =
                |gene: &GeneColumn| gene.name == name && is_comparable(&gene.domain, &to.domain);
            genes.iter().position(known)
        };
        let of = |to: &Dimension| {
            let first = || of_first_merge(&to.name).and_then(|name| find(name, to));
            find(&to.name, to).or_else(first)
        };
        Self { genes, dimensions, start, from: dimensions.iter().map(of).collect() }
    }

    /// What has no counterpart.
    fn unmatched(&self) -> Transfer {
        let missing = self.dimensions.iter().zip(&self.from).filter(|(_, from)| from.is_none());
        let known = |gene: &&GeneColumn| self.dimensions.iter().any(|to| to.name == gene.name);
        Transfer {
            missing: missing.map(|(to, _)| to.name.clone()).collect(),
            ignored: self.genes.iter().filter(|g| !known(g)).map(|g| g.name.clone()).collect(),
            ..Transfer::default()
        }
    }

    /// # Errors
    /// The name of a gene whose value the space does not allow.
    fn moved(&self, genotype: &Genotype) -> Result<Genotype, String> {
        let places = self.dimensions.iter().zip(&self.from).zip(&self.start.0);
        let genes = places.map(|((to, from), start)| {
            let of_run = from.and_then(|i| Some((genotype.0.get(i)?, self.genes.get(i)?)));
            match of_run {
                None => Ok(*start),
                Some((gene, column)) => {
                    moved(*gene, &column.domain, to).ok_or_else(|| to.name.clone())
                }
            }
        });
        genes.collect::<Result<_, _>>().map(Genotype)
    }
}

/// `weight` for `merge2.weight`.
fn of_first_merge(name: &str) -> Option<&str> {
    let (merge, gene) = name.split_once('.')?;
    merge.strip_prefix("merge")?.parse::<usize>().ok()?;
    Some(gene)
}

/// An integer gene counts steps, so that in another domain its value means something else.
fn is_comparable(from: &Domain, to: &Domain) -> bool {
    matches!(
        (from, to),
        (Domain::Continuous { .. }, Domain::Continuous { .. })
            | (Domain::Categorical { .. }, Domain::Categorical { .. })
    ) || from == to
}

/// `None` where the space does not allow the value.
fn moved(gene: Gene, from: &Domain, to: &Dimension) -> Option<Gene> {
    match (gene, from, &to.domain) {
        (Gene::Real(x), _, Domain::Continuous { low, high }) => {
            (*low..=*high).contains(&x).then_some(gene)
        }
        (Gene::Integer(z), _, Domain::Integer { low, high }) => {
            (*low..=*high).contains(&z).then_some(gene)
        }
        (
            Gene::Category(c),
            Domain::Categorical { choices: old },
            Domain::Categorical { choices },
        ) => {
            let word = old.get(c)?;
            choices.iter().position(|choice| choice == word).map(Gene::Category)
        }
        _ => None,
    }
}
