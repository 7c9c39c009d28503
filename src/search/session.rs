//! One process's part of a run: scores trials, or finds them in the record.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use super::archive::Archive;
use super::event::{Progress, SearchEvent};
use super::{Clock, SearchError};
use crate::evaluate::{Evaluator, Workers};
use crate::genome::{Decoder, Genotype};
use crate::objective::interval;
use crate::outcome::Outcome;
use crate::recipe::{Layout, Recipe};
use crate::record::{FrontRow, RunWriter, Trial, TrialKind};
use crate::units::{Seconds, Seed, Split};

/// What every trial of a run needs.
pub(super) struct Session<'a> {
    pub decoder: &'a Decoder,
    pub layers: usize,
    pub evaluator: &'a dyn Evaluator,
    pub workers: &'a Workers,
    pub clock: Clock,
    pub interrupt: &'a AtomicBool,
    pub listener: &'a (dyn Fn(SearchEvent<'_>) + Sync),
    writer: Mutex<RunWriter>,
    past: BTreeMap<Key, Trial>,
    archive: Mutex<Archive>,
}

/// A row's identity within a run.
type Key = (u64, Split, bool);

/// A trial to be made.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub trial: u64,
    pub name: Option<String>,
    pub generation: u64,
    pub kind: TrialKind,
    pub split: Split,
    pub recipe: Recipe,
    pub genotype: Option<Genotype>,
}

impl Job {
    fn key(&self) -> Key {
        (self.trial, self.split, self.kind == TrialKind::Final)
    }
}

/// What a session is made from.
pub(super) struct Parts<'a> {
    pub decoder: &'a Decoder,
    pub layers: usize,
    pub evaluator: &'a dyn Evaluator,
    pub workers: &'a Workers,
    pub interrupt: &'a AtomicBool,
    pub listener: &'a (dyn Fn(SearchEvent<'_>) + Sync),
    pub writer: RunWriter,
}

impl<'a> Session<'a> {
    /// Reads what earlier sessions of the run have recorded.
    pub fn begin(parts: Parts<'a>, archive: Archive) -> Result<Self, SearchError> {
        let mut past = BTreeMap::new();
        let mut before = 0.0f64;
        for trial in parts.writer.folder().trials()? {
            before = before.max(trial.elapsed.0);
            past.insert((trial.trial, trial.split, trial.kind == TrialKind::Final), trial);
        }
        Ok(Self {
            decoder: parts.decoder,
            layers: parts.layers,
            evaluator: parts.evaluator,
            workers: parts.workers,
            clock: Clock::resume(Seconds(before)),
            interrupt: parts.interrupt,
            listener: parts.listener,
            writer: Mutex::new(parts.writer),
            past,
            archive: Mutex::new(archive),
        })
    }

    pub fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    pub fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn writer(&self) -> MutexGuard<'_, RunWriter> {
        self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn emit(&self, event: SearchEvent<'_>) {
        (self.listener)(event);
    }

    /// Whether an earlier session got as far as the finals: then the search is over, whatever the clock says.
    pub fn finals_begun(&self) -> bool {
        self.past.keys().any(|(_, _, last)| *last)
    }

    pub fn is_recorded(&self, job: &Job) -> bool {
        self.past.contains_key(&job.key())
    }

    /// Makes the trials that are not recorded yet, side by side. `None` = interrupted before it began.
    pub fn run(&self, jobs: &[Job]) -> Result<Vec<Option<Trial>>, SearchError> {
        let trial = |_, job: &Job| {
            if self.interrupted() && !self.is_recorded(job) {
                return Ok(None);
            }
            self.trial(job).map(Some)
        };
        self.workers.map(jobs, trial).into_iter().collect()
    }

    /// One trial, from the record or by scoring it.
    pub fn trial(&self, job: &Job) -> Result<Trial, SearchError> {
        let (trial, replayed) = match self.past.get(&job.key()) {
            Some(trial) => {
                self.check_replay(job, trial)?;
                (trial.clone(), true)
            }
            None => (self.score(job)?, false),
        };
        let progress = {
            let mut archive = self.archive();
            archive.add(&trial, output_layers(&job.recipe, self.layers));
            self.progress(&archive)
        };
        self.emit(SearchEvent::Trial { trial: &trial, replayed, progress });
        Ok(trial)
    }

    fn progress(&self, archive: &Archive) -> Progress {
        Progress {
            candidates: archive.candidates(),
            best: archive.best(),
            front: archive.front_size(),
            seconds_per_trial: archive.seconds_per_trial(),
            elapsed: self.clock.elapsed(),
        }
    }

    /// Another binary, other data or an edited space would ask for something else under the same number.
    fn check_replay(&self, job: &Job, trial: &Trial) -> Result<(), SearchError> {
        if trial.recipe == job.recipe.to_yaml() && trial.genotype == job.genotype {
            return Ok(());
        }
        Err(SearchError::ReplayDiffers { trial: job.trial })
    }

    fn score(&self, job: &Job) -> Result<Trial, SearchError> {
        let started_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros() as i64);
        let outcome = self.evaluator.evaluate(&job.recipe, job.split)?;
        let geometric_mean = match &outcome {
            Outcome::Feasible(evaluation) => Some(interval(evaluation)),
            Outcome::Infeasible { .. } => None,
        };
        let mut writer = self.writer();
        let trial = Trial {
            trial: job.trial,
            name: job.name.clone(),
            generation: job.generation,
            kind: job.kind,
            split: job.split,
            outcome,
            geometric_mean,
            recipe: job.recipe.to_yaml(),
            genotype: job.genotype.clone(),
            seed: Seed(job.recipe.mask_seed),
            elapsed: self.clock.elapsed(),
            started_at,
        };
        writer.append(&trial)?;
        Ok(trial)
    }

    /// Writes `front.parquet`.
    pub fn write_front(&self) -> Result<(), SearchError> {
        let front = self.archive().front();
        let rows: Vec<FrontRow<'_>> = front
            .iter()
            .map(|member| FrontRow { trial: &member.trial, pooled_time: member.pooled_time })
            .collect();
        Ok(self.writer().write_front(&rows)?)
    }
}

/// Number of layers of the merged model: what its scoring time depends on.
fn output_layers(recipe: &Recipe, base_layers: usize) -> usize {
    match &recipe.layout {
        Layout::Models(_) => base_layers,
        Layout::Slices(slices) => slices
            .iter()
            .filter_map(|slice| slice.sources.first())
            .map(|source| source.layer_range.layers())
            .sum(),
    }
}
