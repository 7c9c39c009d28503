//! Trials to columns: one row per trial × rung × split. Others read these names, so they change only with the schema version.

use polars::prelude::*;

use super::doc_ranges::to_text;
use super::{GeneColumn, RecordError, RunManifest, TaskEntry, Trial};
use crate::genome::{Domain, Gene};
use crate::outcome::{Estimate, Evaluation, Outcome, TaskScore};

pub(super) const FEASIBLE: &str = "feasible";
pub(super) const INFEASIBLE: &str = "infeasible";

/// All columns of `trials`, in the order of the file.
///
/// # Errors
/// When a trial has other tasks or genes than the manifest, or documents that it was not scored on.
pub(super) fn trial_columns(
    trials: &[&Trial],
    manifest: &RunManifest,
) -> Result<Vec<Column>, RecordError> {
    for trial in trials {
        check_tasks(trial, manifest)?;
        check_docs(trial, manifest)?;
        check_genes(trial, manifest)?;
    }
    let mut columns = identity(trials);
    columns.extend(scores(trials, manifest));
    columns.extend(costs(trials));
    columns.push(column("recipe", trials, |trial| trial.recipe.as_str()));
    columns.extend((manifest.genes.iter().enumerate()).map(|(i, gene)| genes(trials, i, gene)));
    columns.push(column("seed", trials, |trial| trial.seed.0));
    columns.push(column("elapsed_seconds", trials, |trial| trial.elapsed.0));
    // Microseconds since the Unix epoch, UTC: polars' Datetime is not among the features compiled in.
    columns.push(column("started_at", trials, |trial| trial.started_at));
    Ok(columns)
}

fn column<'a, T>(name: &str, trials: &[&'a Trial], value: impl Fn(&'a Trial) -> T) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    let values: Vec<T> = trials.iter().map(|trial| value(trial)).collect();
    Column::new(name.into(), values)
}

fn measured<'a, T>(name: &str, trials: &[&'a Trial], value: impl Fn(&'a Evaluation) -> T) -> Column
where
    Series: NamedFrom<Vec<Option<T>>, [Option<T>]>,
{
    column(name, trials, |trial| trial.outcome.evaluation().map(&value))
}

fn identity(trials: &[&Trial]) -> Vec<Column> {
    vec![
        column("trial", trials, |trial| trial.trial),
        column("name", trials, |trial| trial.name.as_deref()),
        column("generation", trials, |trial| trial.generation),
        column("kind", trials, |trial| trial.kind.as_str()),
        column("split", trials, |trial| trial.split.as_str()),
        column("rung", trials, |trial| trial.rung),
        column("docs", trials, |trial| trial.docs.as_ref().map(to_text)),
        column("outcome", trials, |trial| match trial.outcome {
            Outcome::Feasible(_) => FEASIBLE,
            Outcome::Infeasible { .. } => INFEASIBLE,
        }),
        column("reason", trials, |trial| match &trial.outcome {
            Outcome::Feasible(_) => None,
            Outcome::Infeasible { reason } => Some(reason.as_str()),
        }),
    ]
}

fn scores(trials: &[&Trial], manifest: &RunManifest) -> Vec<Column> {
    let mut columns = estimate("geometric_mean", trials, |trial| trial.geometric_mean);
    columns.extend(estimate("objective", trials, |trial| trial.objective));
    columns.push(column("companion", trials, |trial| trial.companion));
    columns.extend(manifest.task_names().enumerate().map(|(index, task)| {
        measured(&accuracy_column(task), trials, |evaluation| evaluation.tasks[index].accuracy().0)
    }));
    for (index, task) in manifest.tasks.iter().enumerate() {
        columns.extend(task.others.iter().map(|metric| {
            column(&metric_column(metric, &task.name), trials, |trial| {
                by_metric(&trial.outcome.evaluation()?.tasks[index], metric)
            })
        }));
    }
    columns
}

/// A value and the ends of its interval.
fn estimate(name: &str, trials: &[&Trial], of: impl Fn(&Trial) -> Option<Estimate>) -> Vec<Column> {
    let end = |suffix: &str, end: fn(Estimate) -> f64| {
        column(&format!("{name}{suffix}"), trials, |trial| of(trial).map(end))
    };
    vec![
        end("", |estimate| estimate.value),
        end("_low", |estimate| estimate.low),
        end("_high", |estimate| estimate.high),
    ]
}

fn by_metric(task: &TaskScore, metric: &str) -> Option<f64> {
    task.others.iter().find(|other| other.metric == metric).map(|other| other.score)
}

fn costs(trials: &[&Trial]) -> Vec<Column> {
    vec![
        column("items", trials, |trial| {
            trial.outcome.evaluation().map_or(0, Evaluation::items) as u64
        }),
        measured("seconds_per_item", trials, |e| e.seconds_per_item.0),
        measured("relative_time", trials, |e| e.relative_time),
        measured("merge_seconds", trials, |e| e.merge_seconds.0),
        measured("score_seconds", trials, |e| e.score_seconds.0),
        measured("peak_bytes", trials, |e| e.peak_bytes.0),
        measured("flops_per_item", trials, |e| e.cost.flops_per_item),
        measured("weight_bytes", trials, |e| e.cost.weight_bytes.0),
    ]
}

fn genes(trials: &[&Trial], index: usize, gene: &GeneColumn) -> Column {
    let name = gene_column(&gene.name);
    let value = |trial: &Trial| Some(trial.genotype.as_ref()?.0[index]);
    match &gene.domain {
        Domain::Continuous { .. } => column(&name, trials, |trial| match value(trial)? {
            Gene::Real(value) => Some(value),
            _ => None,
        }),
        Domain::Integer { .. } => column(&name, trials, |trial| match value(trial)? {
            Gene::Integer(value) => Some(value),
            _ => None,
        }),
        Domain::Categorical { choices } => column(&name, trials, |trial| match value(trial)? {
            Gene::Category(choice) => choices.get(choice).map(String::as_str),
            _ => None,
        }),
    }
}

pub(super) fn accuracy_column(task: &str) -> String {
    format!("accuracy.{task}")
}

pub(super) fn metric_column(metric: &str, task: &str) -> String {
    format!("{metric}.{task}")
}

pub(super) fn gene_column(gene: &str) -> String {
    format!("gene.{gene}")
}

fn check_tasks(trial: &Trial, manifest: &RunManifest) -> Result<(), RecordError> {
    let Some(evaluation) = trial.outcome.evaluation() else {
        return Ok(());
    };
    let found = evaluation.tasks.iter().map(|task| task.task.as_str());
    if found.clone().eq(manifest.task_names()) {
        return evaluation
            .tasks
            .iter()
            .zip(&manifest.tasks)
            .try_for_each(|(scored, task)| check_metrics(trial.trial, scored, task));
    }
    Err(RecordError::TasksDiffer {
        trial: trial.trial,
        expected: manifest.task_names().map(str::to_owned).collect(),
        found: found.map(str::to_owned).collect(),
    })
}

/// A part of the split is recorded by its positions; the items are read back by them.
fn check_docs(trial: &Trial, manifest: &RunManifest) -> Result<(), RecordError> {
    let Some(docs) = &trial.docs else { return Ok(()) };
    let counts: Vec<usize> = manifest.docs(trial.split).iter().map(|&docs| docs as usize).collect();
    let scored = trial.outcome.evaluation().map(|evaluation| &evaluation.tasks);
    let complete = scored.is_none_or(|tasks| {
        tasks.iter().zip(&docs.0).all(|(scored, docs)| scored.items.len() == docs.len())
    });
    if docs.fits(&counts) && complete {
        return Ok(());
    }
    let (trial, split, rung) = (trial.trial, trial.split, trial.rung);
    Err(RecordError::DocsDiffer { trial, split, rung })
}

/// Some may be missing, where they have no answer to the model's tokenizer.
fn check_metrics(trial: u64, scored: &TaskScore, task: &TaskEntry) -> Result<(), RecordError> {
    let mut known = task.others.iter();
    if scored.others.iter().all(|other| known.any(|metric| *metric == other.metric)) {
        return Ok(());
    }
    Err(RecordError::MetricsDiffer {
        trial,
        task: task.name.clone(),
        expected: task.others.clone(),
        found: scored.others.iter().map(|other| other.metric.clone()).collect(),
    })
}

fn check_genes(trial: &Trial, manifest: &RunManifest) -> Result<(), RecordError> {
    let Some(genotype) = &trial.genotype else {
        return Ok(());
    };
    if genotype.0.len() != manifest.genes.len() {
        return Err(RecordError::GenotypeLength {
            trial: trial.trial,
            expected: manifest.genes.len(),
            found: genotype.0.len(),
        });
    }
    let mut pairs = genotype.0.iter().zip(&manifest.genes);
    match pairs.find(|(value, gene)| !fits(**value, &gene.domain)) {
        None => Ok(()),
        Some((_, gene)) => {
            Err(RecordError::GeneDiffers { trial: trial.trial, gene: gene.name.clone() })
        }
    }
}

/// Of the right kind for its column; the range is the search space's to check.
fn fits(value: Gene, domain: &Domain) -> bool {
    match (value, domain) {
        (Gene::Real(_), Domain::Continuous { .. }) => true,
        (Gene::Integer(_), Domain::Integer { .. }) => true,
        (Gene::Category(choice), Domain::Categorical { choices }) => choice < choices.len(),
        _ => false,
    }
}
