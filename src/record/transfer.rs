//! The best genotypes of an earlier run, as genes of another space: matched by name.

use std::collections::BTreeMap;

use super::{RecordError, RunFolder, TrialKind};
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
    /// The run's `most` best: its finalists by the selection split, then its candidates by the search split. Genes that
    /// the run does not have are as in `start`.
    ///
    /// # Errors
    /// As [`RunFolder::trials`].
    pub fn transfer(
        &self,
        dimensions: &[Dimension],
        start: &Genotype,
        most: usize,
    ) -> Result<Transfer, RecordError> {
        let genes = &self.manifest.genes;
        let names: BTreeMap<&str, usize> =
            genes.iter().enumerate().map(|(i, gene)| (gene.name.as_str(), i)).collect();
        let from = |to: &Dimension| {
            let index = names.get(to.name.as_str()).copied();
            index.filter(|&i| same_kind(&genes[i].domain, &to.domain))
        };
        let source: Vec<Option<usize>> = dimensions.iter().map(from).collect();
        let mut transfer = Transfer {
            missing: (dimensions.iter().zip(&source))
                .filter(|(_, from)| from.is_none())
                .map(|(to, _)| to.name.clone())
                .collect(),
            ignored: (genes.iter())
                .filter(|gene| dimensions.iter().all(|to| to.name != gene.name))
                .map(|gene| gene.name.clone())
                .collect(),
            ..Transfer::default()
        };
        for genotype in self.ranked()? {
            let moved: Vec<Option<Gene>> = (dimensions.iter().zip(&source).zip(&start.0))
                .map(|((to, from), start)| match from {
                    None => Some(*start),
                    Some(i) => genotype.0.get(*i).and_then(|g| moved(*g, &genes[*i].domain, to)),
                })
                .collect();
            let outside = moved.iter().zip(dimensions).find(|(gene, _)| gene.is_none());
            if let Some((_, dimension)) = outside {
                if !transfer.outside.contains(&dimension.name) {
                    transfer.outside.push(dimension.name.clone());
                }
                continue;
            }
            let genotype = Genotype(moved.into_iter().flatten().collect());
            if !transfer.genotypes.contains(&genotype) {
                transfer.genotypes.push(genotype);
            }
            if transfer.genotypes.len() == most {
                break;
            }
        }
        Ok(transfer)
    }

    /// Every genotype with a score, best first.
    fn ranked(&self) -> Result<Vec<Genotype>, RecordError> {
        let mut scored: Vec<(bool, f64, Genotype)> = Vec::new();
        self.visit(|trial| {
            let last = trial.kind == TrialKind::Final && trial.split == Split::Selection;
            let wanted =
                last || (trial.kind == TrialKind::Candidate && trial.split == Split::Search);
            if let (true, Some(score), Some(genotype)) = (wanted, trial.objective, trial.genotype) {
                scored.push((last, score.value, genotype));
            }
        })?;
        scored.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
        Ok(scored.into_iter().map(|(_, _, genotype)| genotype).collect())
    }
}

/// An integer gene counts steps, so that in another domain its value means something else.
fn same_kind(from: &Domain, to: &Domain) -> bool {
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
