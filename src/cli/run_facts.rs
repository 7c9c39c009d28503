//! What an export's papers say of the run that it comes from.

use std::path::Path;

use merge_search::analysis::{Comparison, Finals, Summary};
use merge_search::genome::Domain;
use merge_search::objective::interval_of;
use merge_search::outcome::{Estimate, Evaluation};
use merge_search::record::{GeneColumn, RunFolder, Trial, TrialKind};
use merge_search::space::SearchSpace;
use merge_search::submission::{
    ChoiceFacts, Effort, GeneGroup, ModelScores, PairedScore, RunFacts, SplitScores,
};
use merge_search::units::{Bytes, Split};

use super::{Failure, trials};

/// What the exported trial is called.
const EXPORTED: &str = "this merge";

/// Of the trial number `exported`, one of `trials`, which are all of the run.
pub fn run_facts(run: &RunFolder, trials: Vec<Trial>, exported: u64) -> Result<RunFacts, Failure> {
    let manifest = run.manifest().clone();
    let space = SearchSpace::parse(&manifest.space.text, Path::new(&manifest.space.path))?;
    let peak = trials.iter().filter_map(|trial| trial.outcome.evaluation());
    let peak = peak.map(|evaluation| evaluation.peak_bytes).max().unwrap_or(Bytes(0));
    let winner = trials::winner(&trials).map(|trial| trial.trial);
    let scores = scores(&trials, winner, exported);
    let summary = Summary::of(run, trials)?;
    let is_winner = winner == Some(exported);
    let comparisons = summary.comparisons.iter().filter(|_| is_winner).map(paired).collect();
    let choice = winner.zip(summary.finals.as_ref());
    Ok(RunFacts {
        name: name(run.path()),
        genes: genes(&manifest.genes),
        manifest,
        space: space.name,
        experts: space.experts.into_iter().map(|expert| expert.name).collect(),
        methods: space.methods.iter().map(|method| method.as_str().to_owned()).collect(),
        scores,
        comparisons,
        choice: choice.map(|(winner, finals)| chosen(winner, finals)),
        front: run.front()?,
        effort: Effort {
            candidates: summary.header.trials,
            infeasible: summary.header.infeasible,
            documents: summary.header.items,
            elapsed: summary.header.elapsed,
            peak,
        },
    })
}

/// The run folder's own name, also where it was given as `.`.
pub fn name(path: &Path) -> String {
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    whole.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Baselines, the winner where it is another trial, and the exported trial.
fn scores(trials: &[Trial], winner: Option<u64>, exported: u64) -> Vec<ModelScores> {
    let mut named: Vec<(String, u64)> = Vec::new();
    for trial in trials.iter().filter(|trial| trial.kind == TrialKind::Baseline) {
        if named.iter().all(|(_, number)| *number != trial.trial) {
            named.push((trial.name.clone().unwrap_or_default(), trial.trial));
        }
    }
    named.sort_by_key(|(_, number)| *number);
    let other =
        winner.filter(|winner| *winner != exported && named.iter().all(|(_, n)| n != winner));
    named.extend(other.map(|winner| ("winner".to_owned(), winner)));
    let scored = |(name, trial): (String, u64)| ModelScores {
        name,
        trial,
        is_exported: false,
        splits: Split::ALL.map(|split| on(trials, trial, split)),
    };
    let mut scores: Vec<ModelScores> = named.into_iter().map(scored).collect();
    scores.push(ModelScores { is_exported: true, ..scored((EXPORTED.to_owned(), exported)) });
    scores
}

/// Of a race the row with all documents, or else the latest.
fn on(trials: &[Trial], number: u64, split: Split) -> Option<SplitScores> {
    let rows = trials.iter().filter(|trial| trial.trial == number && trial.split == split);
    let row = rows.max_by_key(|trial| (trial.docs.is_none(), trial.rung))?;
    let evaluation: &Evaluation = row.outcome.evaluation()?;
    let task = |score| interval_of(std::slice::from_ref(score));
    Some(SplitScores {
        objective: row.objective?,
        geometric_mean: row.geometric_mean?,
        tasks: evaluation.tasks.iter().map(task).collect(),
        documents: evaluation.items() as u64,
    })
}

fn paired(comparison: &Comparison) -> PairedScore {
    let difference = comparison.difference;
    PairedScore {
        baseline: comparison.baseline.clone(),
        difference: Estimate {
            value: difference.difference,
            low: difference.low,
            high: difference.high,
        },
        adjusted_p_value: comparison.adjusted_p_value,
        significant: comparison.significant,
    }
}

fn chosen(winner: u64, finals: &Finals) -> ChoiceFacts {
    ChoiceFacts {
        winner,
        finalists: finals.finalists,
        dropped: finals.dropped,
        indistinguishable: finals.indistinguishable,
        best_observed: finals.best_observed.map(|best| (best.trial, best.search)),
    }
}

/// Genes whose names begin alike, in the order of the first of them.
fn genes(columns: &[GeneColumn]) -> Vec<GeneGroup> {
    let mut groups: Vec<(GeneGroup, Vec<String>)> = Vec::new();
    for column in columns {
        let parameter = column.name.split('.').next().unwrap_or_default();
        let values = values(&column.domain);
        match groups.iter_mut().find(|(group, _)| group.parameter == parameter) {
            None => {
                let group =
                    GeneGroup { parameter: parameter.to_owned(), count: 1, values: String::new() };
                groups.push((group, vec![values]));
            }
            Some((group, known)) => {
                group.count += 1;
                if !known.contains(&values) {
                    known.push(values);
                }
            }
        }
    }
    let joined =
        |(group, known): (GeneGroup, Vec<String>)| GeneGroup { values: known.join("; "), ..group };
    groups.into_iter().map(joined).collect()
}

fn values(domain: &Domain) -> String {
    match domain {
        Domain::Continuous { low, high } => format!("{low} to {high}"),
        Domain::Integer { low, high } => format!("whole numbers {low} to {high}"),
        Domain::Categorical { choices } => choices.join(", "),
    }
}
