//! What a run found, from its folder alone: tables as values, as text, and (through serde) as JSON.
//!
//! Reads [`crate::record`], computes with [`crate::objective`]; prints nothing.
mod convergence;
mod finals;
mod front;
mod render;
mod render_front;
mod standings;
mod text_table;

pub use convergence::{BestSoFar, Convergence, GenerationScores};
pub use finals::{BestObserved, Finals};
pub use front::{Front, FrontPoint, Pick};
pub use standings::{Comparison, OtherMetrics, OtherScore, SplitScore, Standing};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::objective::Aggregate;
use crate::outcome::Evaluation;
use crate::record::{
    OptimizerSettings, RecordError, RunBudget, RunFolder, RunManifest, Trial, TrialKind,
};
use crate::units::{Seconds, Seed, Split};

/// Everything `merge-search analyze` shows of a run, finished or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// What the run was.
    pub header: Header,
    /// Baselines in the order they were scored, then the winner.
    pub standings: Vec<Standing>,
    /// The winner against every baseline on the holdout documents; empty before the holdout was scored.
    pub comparisons: Vec<Comparison>,
    /// How the winner was chosen; `None` before the holdout was scored.
    pub finals: Option<Finals>,
    /// The winner by the metrics that are not judged, against every baseline on the holdout documents.
    pub other_metrics: Vec<OtherMetrics>,
    /// Accuracy against time.
    pub front: Front,
    /// How the search went.
    pub convergence: Convergence,
}

/// What was run and how much of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Header {
    /// The run's folder.
    pub run: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// Version of merge-search.
    pub written_by: String,
    /// The command as typed.
    pub command_line: Vec<String>,
    /// Seed of the run.
    pub seed: Seed,
    /// How it searched.
    pub optimizer: OptimizerSettings,
    /// How long it was to search.
    pub budget: RunBudget,
    /// Where it ran.
    pub device: String,
    /// Tasks, in the order of the search space.
    pub tasks: Vec<String>,
    /// The judged metric of each task.
    pub metrics: Vec<String>,
    /// What the run maximised, as a heading has it.
    pub objective: String,
    /// The same, with every weight.
    pub aggregate: Aggregate,
    /// Candidates scored on the search split, infeasible ones among them.
    pub trials: usize,
    /// How many of them were infeasible.
    pub infeasible: usize,
    /// Documents that were scored for them.
    pub items: usize,
    /// Time of the last trial, over all sessions.
    pub elapsed: Seconds,
}

impl Summary {
    /// Reads the whole run.
    ///
    /// # Errors
    /// As [`RunFolder::trials`] and [`RunFolder::front`].
    pub fn load(run: &RunFolder) -> Result<Summary, RecordError> {
        Summary::of(run, run.trials()?)
    }

    /// As [`Summary::load`], of all `trials` of the run.
    ///
    /// # Errors
    /// As [`RunFolder::front`].
    pub fn of(run: &RunFolder, trials: Vec<Trial>) -> Result<Summary, RecordError> {
        let trials = last_rungs(trials);
        let standings = standings::standings(&trials);
        Ok(Summary {
            header: header(run, &trials),
            comparisons: standings::comparisons(&standings, &trials, run.manifest()),
            finals: finals::finals(&trials, run.manifest()),
            other_metrics: standings::other_metrics(&standings, &trials, run.manifest()),
            standings,
            front: Front::of(&run.front()?),
            convergence: Convergence::of(&candidates(&trials)),
        })
    }

    /// All tables, in plain text.
    pub fn render(&self) -> String {
        render::render(self)
    }
}

/// Documents that were scored.
fn items(trial: &Trial) -> usize {
    trial.outcome.evaluation().map_or(0, Evaluation::items)
}

/// Of a raced trial the last row, which has all its documents.
fn last_rungs(trials: Vec<Trial>) -> Vec<Trial> {
    let key = |trial: &Trial| (trial.trial, trial.split, trial.kind);
    let mut last: BTreeMap<_, u32> = BTreeMap::new();
    for trial in &trials {
        let rung = last.entry(key(trial)).or_default();
        *rung = trial.rung.max(*rung);
    }
    trials.into_iter().filter(|trial| last.get(&key(trial)) == Some(&trial.rung)).collect()
}

/// What the optimizer asked for, in the order it was scored.
fn candidates(trials: &[Trial]) -> Vec<&Trial> {
    (trials.iter())
        .filter(|trial| trial.kind == TrialKind::Candidate && trial.split == Split::Search)
        .collect()
}

fn header(run: &RunFolder, trials: &[Trial]) -> Header {
    let manifest: RunManifest = run.manifest().clone();
    let candidates = candidates(trials);
    let infeasible = |trial: &&&Trial| trial.outcome.evaluation().is_none();
    let elapsed = trials.iter().map(|trial| trial.elapsed.0);
    Header {
        run: run.path().display().to_string(),
        tasks: manifest.task_names().map(str::to_owned).collect(),
        metrics: manifest.tasks.into_iter().map(|task| task.metric).collect(),
        objective: manifest.objective.to_string(),
        aggregate: manifest.objective,
        created_at: manifest.created_at,
        written_by: manifest.written_by,
        command_line: manifest.command_line,
        seed: manifest.seed,
        optimizer: manifest.optimizer,
        budget: manifest.budget,
        device: manifest.device,
        trials: candidates.len(),
        infeasible: candidates.iter().filter(infeasible).count(),
        items: candidates.iter().map(|trial| items(trial)).sum(),
        elapsed: Seconds(elapsed.fold(0.0, f64::max)),
    }
}
