//! One process's part of a run: scores trials, or finds them in the record.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::archive::Archive;
use super::event::{Progress, SearchEvent};
use super::past::{Key, Past};
use super::{Clock, SearchError};
use crate::evaluate::{Evaluator, Workers};
use crate::genome::{Decoder, Genotype};
use crate::objective::{Aggregate, estimate, interval};
use crate::outcome::{DocSubset, Evaluation, Outcome, TaskScore};
use crate::recipe::{Layout, ModuleBody, OutputModule, OutputSlice, Recipe};
use crate::record::{RunWriter, Trial, TrialKind, TrialTiming};
use crate::units::{Seconds, Seed, Split};

/// What every trial of a run needs.
pub(super) struct Session<'a> {
    pub decoder: &'a Decoder,
    pub layers: usize,
    pub evaluator: &'a dyn Evaluator,
    pub workers: &'a Workers,
    /// The manifest's.
    pub aggregate: Aggregate,
    /// The manifest's `tie_break`.
    pub breaks_ties: bool,
    /// The manifest's.
    pub recorded_workers: usize,
    /// Whether candidates see parts of the search split.
    pub raced: bool,
    pub clock: Clock,
    pub interrupt: &'a AtomicBool,
    pub listener: &'a (dyn Fn(SearchEvent<'_>) + Sync),
    writer: Mutex<RunWriter>,
    past: Past,
    /// The search had ended when an earlier session stopped: no new candidate, whatever the clock says.
    ended: bool,
    /// A worker met an error that ends the run.
    failed: AtomicBool,
    /// Trials that this process has scored.
    scored: AtomicU64,
    archive: Mutex<Archive>,
}

/// Written when the budget is spent, so that a resumed run decides the same. Holds the seconds used by then.
const SEARCH_ENDED: &str = "search-ended";

/// A trial to be made.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub trial: u64,
    pub name: Option<String>,
    pub generation: u64,
    pub kind: TrialKind,
    pub split: Split,
    /// Step of the trial's race, from 0; 0 where it is not raced.
    pub rung: u32,
    /// All documents so far, those of earlier rungs included; `None`: the whole split.
    pub docs: Option<DocSubset>,
    pub recipe: Recipe,
    pub genotype: Option<Genotype>,
}

impl Job {
    fn key(&self) -> Key {
        Key { trial: self.trial, split: self.split, kind: self.kind, rung: self.rung }
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
    pub started: Instant,
}

impl<'a> Session<'a> {
    /// Reads what earlier sessions of the run have recorded.
    pub fn begin(parts: Parts<'a>, archive: Archive) -> Result<Self, SearchError> {
        let folder = parts.writer.folder();
        let ended = folder.text(SEARCH_ENDED)?;
        let used = ended.as_deref().and_then(|text| text.trim().parse().ok());
        let past = Past::of(folder.clone())?;
        let before = past.elapsed.0.max(used.unwrap_or(0.0f64));
        let ended = ended.is_some() || past.has_finals();
        Ok(Self {
            decoder: parts.decoder,
            layers: parts.layers,
            evaluator: parts.evaluator,
            workers: parts.workers,
            aggregate: parts.writer.folder().manifest().objective.clone(),
            breaks_ties: parts.writer.folder().manifest().tie_break,
            raced: parts.writer.folder().manifest().optimizer.racing.is_some(),
            recorded_workers: parts.writer.folder().manifest().optimizer.workers as usize,
            clock: Clock::resume(parts.started, Seconds(before)),
            interrupt: parts.interrupt,
            listener: parts.listener,
            writer: Mutex::new(parts.writer),
            past,
            ended,
            failed: AtomicBool::new(false),
            scored: AtomicU64::new(0),
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

    /// Whether a new candidate may be scored as far as this process and the record are concerned.
    ///
    /// # Errors
    /// The record of a search that had ended lacks this trial, though it has later ones.
    pub fn may_score(&self, job: &Job) -> Result<bool, SearchError> {
        if self.ended && job.generation < self.past.last_generation {
            return Err(SearchError::Gap { trial: job.trial, generation: job.generation });
        }
        Ok(!self.ended && !self.interrupted() && !self.failed.load(Ordering::Relaxed))
    }

    /// How many trials this process has scored; those found in the record do not count.
    pub fn scored(&self) -> u64 {
        self.scored.load(Ordering::Relaxed)
    }

    /// Number of layers of a recipe's model.
    pub fn layers_of(&self, recipe: &Recipe) -> usize {
        output_layers(recipe, self.layers)
    }

    pub fn is_recorded(&self, job: &Job) -> bool {
        self.past.has(&job.key())
    }

    /// Records that no candidate follows.
    pub fn end_search(&self) -> Result<(), SearchError> {
        if !self.ended {
            let used = format!("{}\n", self.clock.elapsed().0);
            self.writer().write_text(SEARCH_ENDED, &used)?;
        }
        Ok(())
    }

    /// Makes the trials that are not recorded yet, side by side. `None` = interrupted before it began.
    pub fn run(&self, jobs: &[Job]) -> Result<Vec<Option<Trial>>, SearchError> {
        self.workers.map(jobs, |_, job| self.trial_unless_stopped(job, None)).into_iter().collect()
    }

    /// As [`Session::run`], each job with the row of its trial's rung before.
    pub fn run_further(
        &self,
        jobs: &[(Job, Option<Trial>)],
    ) -> Result<Vec<Option<Trial>>, SearchError> {
        let trial = |_, (job, before): &(Job, Option<Trial>)| {
            self.trial_unless_stopped(job, before.as_ref())
        };
        self.workers.map(jobs, trial).into_iter().collect()
    }

    fn trial_unless_stopped(
        &self,
        job: &Job,
        before: Option<&Trial>,
    ) -> Result<Option<Trial>, SearchError> {
        let stop = self.interrupted() || self.failed.load(Ordering::Relaxed);
        if stop && !self.is_recorded(job) {
            return Ok(None);
        }
        self.trial(job, before).map(Some)
    }

    /// One trial, from the record or by scoring it. `before`: the row of the trial's last rung, whose documents are not scored
    /// again.
    ///
    /// # Errors
    /// Also where `before` has documents that the job does not have.
    pub fn trial(&self, job: &Job, before: Option<&Trial>) -> Result<Trial, SearchError> {
        let (trial, replayed) = match self.past.trial(&job.key())? {
            Some(trial) => {
                self.check_replay(job, &trial)?;
                (trial, true)
            }
            None => {
                let scored = self.score(job, before);
                if scored.is_err() {
                    self.failed.store(true, Ordering::Relaxed);
                }
                (scored?, false)
            }
        };
        let progress = {
            let mut archive = self.archive();
            archive.add(&trial, self.layers_of(&job.recipe));
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
        let same = trial.genotype == job.genotype && trial.docs == job.docs;
        if same && trial.recipe == job.recipe.to_yaml() {
            return Ok(());
        }
        Err(SearchError::ReplayDiffers { trial: job.trial })
    }

    /// What is known of the job's documents once those that `before` lacks are scored. A candidate without a score on some
    /// documents has none on more.
    fn outcome(&self, job: &Job, before: Option<&Trial>) -> Result<Outcome, SearchError> {
        let evaluate = |docs| self.evaluator.evaluate(&job.recipe, job.split, docs);
        let Some(before) = before else { return Ok(evaluate(job.docs.as_ref())?) };
        let Outcome::Feasible(known) = &before.outcome else { return Ok(before.outcome.clone()) };
        let whole = || DocSubset::whole(&self.evaluator.docs(job.split));
        let all = job.docs.clone().unwrap_or_else(whole);
        let seen = before.docs.clone().unwrap_or_else(whole);
        let new = all.without(&seen);
        if !all.contains(&seen) {
            return Err(SearchError::RungShrinks { trial: job.trial, rung: job.rung });
        }
        if new.docs() == 0 {
            return Ok(before.outcome.clone());
        }
        Ok(match evaluate(Some(&new))? {
            Outcome::Feasible(more) => Outcome::Feasible(known.joined(&seen, &more, &new)?),
            infeasible => infeasible,
        })
    }

    fn score(&self, job: &Job, before: Option<&Trial>) -> Result<Trial, SearchError> {
        let started_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros() as i64);
        let outcome = self.outcome(job, before)?;
        let evaluation = outcome.evaluation();
        let geometric_mean = evaluation.map(interval);
        let objective = evaluation.map(|scored| estimate(&self.aggregate, &scored.tasks));
        let companion = evaluation.map(|scored| self.companion(scored));
        let mut writer = self.writer();
        let trial = Trial {
            trial: job.trial,
            name: job.name.clone(),
            generation: job.generation,
            kind: job.kind,
            split: job.split,
            rung: job.rung,
            docs: job.docs.clone(),
            outcome,
            geometric_mean,
            objective,
            companion,
            recipe: job.recipe.to_yaml(),
            genotype: job.genotype.clone(),
            seed: Seed(job.recipe.mask_seed),
            elapsed: self.clock.elapsed(),
            started_at,
        };
        writer.append(&trial)?;
        self.scored.fetch_add(1, Ordering::Relaxed);
        Ok(trial)
    }

    /// The judged metric of each task.
    pub fn judged(&self) -> Vec<String> {
        let writer = self.writer();
        writer.folder().manifest().tasks.iter().map(|task| task.metric.clone()).collect()
    }

    fn companion(&self, evaluation: &Evaluation) -> f64 {
        let margins: Vec<f64> = evaluation.tasks.iter().map(TaskScore::margin).collect();
        self.aggregate.companion(&margins)
    }

    /// Writes `front.parquet` as it stands on the search split.
    pub fn write_front(&self) -> Result<(), SearchError> {
        let rows = self.archive().front_rows();
        Ok(self.writer().write_front(&rows)?)
    }

    /// What the recorded measurement of these trials' models says, or a new one, which is recorded. `None` = interrupted.
    ///
    /// # Errors
    /// Also where the record has a measurement of others.
    pub fn timings(
        &self,
        models: &[(u64, &Recipe)],
        rounds: usize,
    ) -> Result<Option<Vec<TrialTiming>>, SearchError> {
        let recorded = self.writer().folder().timings()?;
        if let Some(timings) = recorded {
            let mut pairs = models.iter().zip(&timings);
            let differs = pairs.find(|((trial, _), (recorded, _))| trial != recorded);
            return match differs {
                None if models.len() == timings.len() => Ok(Some(timings)),
                None => Err(SearchError::ReplayDiffers { trial: timings.len() as u64 }),
                Some(((trial, _), _)) => Err(SearchError::ReplayDiffers { trial: *trial }),
            };
        }
        if self.interrupted() {
            return Ok(None);
        }
        let recipes: Vec<&Recipe> = models.iter().map(|(_, recipe)| *recipe).collect();
        let measured = self.evaluator.times(&recipes, Split::Selection, rounds)?;
        let timings: Vec<TrialTiming> =
            models.iter().map(|(trial, _)| *trial).zip(measured).collect();
        self.writer().write_timings(&timings)?;
        Ok(Some(timings))
    }
}

/// Number of layers of the merged model: what its scoring time depends on.
fn output_layers(recipe: &Recipe, base_layers: usize) -> usize {
    match &recipe.layout {
        Layout::Models(_) => base_layers,
        Layout::Slices(slices) => layers_of(slices),
        Layout::Modules(modules) => {
            let of_module = |module: &OutputModule| match &module.body {
                ModuleBody::Models(_) => base_layers,
                ModuleBody::Slices(slices) => layers_of(slices),
            };
            modules.iter().map(of_module).sum()
        }
    }
}

fn layers_of(slices: &[OutputSlice]) -> usize {
    let sources = slices.iter().filter_map(|slice| slice.sources.first());
    sources.map(|source| source.layer_range.layers()).sum()
}

#[cfg(test)]
mod tests;
