//! Who takes part in the race on selection.

use super::race::Origin;
use super::{RECOMMENDED, Recommended, scores_on};
use crate::genome::Genotype;
use crate::outcome::{DocSubset, TaskScore};
use crate::record::{Trial, TrialKind};
use crate::search::archive::Contender;
use crate::search::baselines::Baseline;
use crate::search::session::{Job, Session};
use crate::units::Split;

/// A baseline, whose scores are known, or a finalist, whose scores come block by block.
#[derive(Debug, Clone)]
pub(super) struct Entrant {
    pub origin: Origin,
    pub trial: u64,
    generation: u64,
    /// `None`: a baseline.
    pub genotype: Option<Genotype>,
    /// Its last row.
    pub on_selection: Option<Trial>,
}

impl Entrant {
    fn baseline(baseline: &Baseline) -> Entrant {
        let trial = baseline.on(Split::Selection);
        Entrant {
            origin: Origin::Baseline,
            trial: trial.trial,
            generation: trial.generation,
            genotype: None,
            on_selection: Some(trial.clone()),
        }
    }

    fn finalist(origin: Origin, trial: u64, generation: u64, genotype: Genotype) -> Entrant {
        Entrant { origin, trial, generation, genotype: Some(genotype), on_selection: None }
    }

    /// What is to be scored for a block, and the row of the block before; nothing for a baseline.
    pub fn job(
        &self,
        session: &Session<'_>,
        block: usize,
        documents: Option<&DocSubset>,
    ) -> Option<(Job, Option<Trial>)> {
        let genotype = self.genotype.as_ref()?;
        let job = Job {
            trial: self.trial,
            name: None,
            generation: self.generation,
            kind: TrialKind::Final,
            split: Split::Selection,
            rung: block as u32,
            docs: documents.cloned(),
            recipe: session.decoder.decode(genotype),
            genotype: Some(genotype.clone()),
        };
        Some((job, self.on_selection.clone()))
    }

    /// Its scores on `documents`, if it gives any and keeps the limits.
    pub fn scores(
        &self,
        session: &Session<'_>,
        documents: Option<&DocSubset>,
    ) -> Option<Vec<TaskScore>> {
        let trial = self.on_selection.as_ref()?;
        let evaluation = trial.outcome.evaluation()?;
        match &self.genotype {
            None => Some(scores_on(&evaluation.tasks, documents)),
            Some(genotype) => {
                let layers = session.layers_of(&session.decoder.decode(genotype));
                let archive = session.archive();
                // That of an observed one is known better from the search split, and was looked at when it was taken.
                let excess = match archive.known(genotype) {
                    Some(_) => 0.0,
                    None => archive.pool().excess_on(trial.split, evaluation, layers),
                };
                (excess == 0.0).then(|| evaluation.tasks.clone())
            }
        }
    }
}

/// The baselines, the best observed candidates, and the optimizer's recommendations with the numbers after the last
/// candidate's. Only what was learnt counts as recommended; an optimizer that hands over its best observed is no less lucky
/// than the archive. A recommendation that is one of the candidates keeps that one's number. Who is known to pass a limit does
/// not take part; baselines that do, only where there is nobody else.
pub(super) fn entrants(
    session: &Session<'_>,
    baselines: &[Baseline],
    observed: usize,
    recommended: &Recommended,
) -> Vec<Entrant> {
    let finalists = finalists(session, baselines, observed, recommended);
    let archive = session.archive();
    let keeps = |baseline: &&Baseline| {
        finalists.is_empty() || archive.baseline_keeps_limits(baseline.on(Split::Search).trial)
    };
    let baselines = baselines.iter().filter(keeps).map(Entrant::baseline);
    baselines.chain(finalists.iter().cloned()).collect()
}

fn finalists(
    session: &Session<'_>,
    baselines: &[Baseline],
    observed: usize,
    recommended: &Recommended,
) -> Vec<Entrant> {
    let archive = session.archive();
    let mut entrants = Vec::new();
    if archive.candidates() == 0 {
        return entrants;
    }
    let origin = if recommended.learnt { Origin::Recommended } else { Origin::Observed };
    let recommended = distinct(&recommended.genotypes);
    let contenders = archive.contenders();
    let is_recommended = |contender: &Contender| recommended.contains(&contender.genotype);
    for (rank, contender) in contenders.iter().enumerate() {
        let origin = match is_recommended(contender) {
            true => origin,
            false if rank < observed => Origin::Observed,
            false => continue,
        };
        let Contender { trial, generation, genotype, .. } = contender;
        entrants.push(Entrant::finalist(origin, *trial, *generation, genotype.clone()));
    }
    // Past every candidate, also those that a partly scored last generation left out.
    let (last, generation) = archive.last_candidate().unwrap_or((baselines.len() as u64, 0));
    let beyond = |known: &Contender| archive.is_beyond_limits(known.trial);
    let new = |genotype: &Genotype| {
        let known = archive.known(genotype).is_some_and(beyond);
        !known && contenders.iter().all(|c| c.genotype != *genotype)
    };
    for (number, genotype) in recommended.iter().filter(|genotype| new(genotype)).enumerate() {
        let trial = last + 1 + number as u64;
        let genotype = genotype.clone();
        entrants.push(Entrant::finalist(origin, trial, generation + 1, genotype));
    }
    entrants
}

fn distinct(genotypes: &[Genotype]) -> Vec<Genotype> {
    let mut distinct: Vec<Genotype> = Vec::new();
    for genotype in genotypes.iter().take(RECOMMENDED) {
        if !distinct.contains(genotype) {
            distinct.push(genotype.clone());
        }
    }
    distinct
}
