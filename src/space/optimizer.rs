//! What a file says of the optimizer.

use std::path::{Path, PathBuf};

use super::SpaceError;
use super::error::Blame;
use super::raw::RawOptimizer;

/// What the file says of the optimizer; the command line may say otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OptimizerChoice {
    /// As `--optimizer` takes it; which names exist is the optimizer module's to say.
    pub name: Option<String>,
    /// Candidates per generation.
    pub population: Option<usize>,
    /// First step, as a share of each gene's range.
    pub sigma: Option<f64>,
    /// Which covariances are learnt; which words exist is the optimizer module's to say.
    pub covariance: Option<String>,
    /// What follows convergence; likewise.
    pub restarts: Option<String>,
    /// Whether the worse half of a generation counts too.
    pub active: Option<bool>,
    /// Where the search starts, best first.
    pub warm_start: Vec<WarmStart>,
    /// Whether genes are tied at first; `None` = the program's own choice.
    pub coarse_to_fine: Option<bool>,
    /// Whether the clearly worse part of a generation is scored on fewer documents; `None` = the program's own choice.
    pub racing: Option<bool>,
    /// Share of a generation's documents that every candidate is scored on.
    pub first_share: Option<f64>,
    /// Share of the documents that is the same in every generation.
    pub anchor_share: Option<f64>,
    /// Bootstrap resamples of documents that rank weights are averaged over; `None` = the program's own choice.
    pub resamples: Option<usize>,
    /// Whether a model of the costs makes a recommendation too; `None` = the program's own choice.
    pub surrogate: Option<bool>,
}

/// Merges to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarmStart {
    /// The uniform merge, each expert and the base model.
    Parents,
    /// A recipe, or the folder of an earlier run.
    At(PathBuf),
}

impl WarmStart {
    /// `parents`, or a path, which is taken from `folder` if it is relative.
    pub fn from_word(word: &str, folder: &Path) -> Self {
        if word == "parents" {
            return Self::Parents;
        }
        let path = folder.join(word);
        Self::At(std::path::absolute(&path).unwrap_or(path))
    }
}

/// Raw → checked, for `[optimizer]`.
pub(super) fn check(
    blame: &Blame<'_>,
    raw: &RawOptimizer,
    folder: &Path,
) -> Result<OptimizerChoice, SpaceError> {
    if let Some(sigma) = raw.sigma
        && !(sigma > 0.0 && sigma <= 1.0)
    {
        let valid = "a share of each gene's range, above 0 and at most 1";
        return Err(blame.value("optimizer.sigma", sigma, valid));
    }
    Ok(OptimizerChoice {
        name: raw.name.clone(),
        population: raw.population.map(|count| check_population(blame, count)).transpose()?,
        sigma: raw.sigma,
        covariance: raw.covariance.clone(),
        restarts: raw.restarts.clone(),
        active: raw.active,
        warm_start: check_warm_start(blame, raw, folder)?,
        coarse_to_fine: raw.coarse_to_fine,
        racing: raw.racing,
        first_share: check_share(blame, "first_share", raw.first_share, f64::MIN_POSITIVE)?,
        anchor_share: check_share(blame, "anchor_share", raw.anchor_share, 0.0)?,
        resamples: raw.resamples.map(|count| check_resamples(blame, count)).transpose()?,
        surrogate: raw.surrogate,
    })
}

fn check_population(blame: &Blame<'_>, count: i64) -> Result<usize, SpaceError> {
    match usize::try_from(count) {
        Ok(count @ 2..=100_000) => Ok(count),
        _ => Err(blame.value("optimizer.population", count, "a number from 2 to 100000")),
    }
}

fn check_share(
    blame: &Blame<'_>,
    key: &str,
    share: Option<f64>,
    least: f64,
) -> Result<Option<f64>, SpaceError> {
    match share {
        Some(share) if !(least..=1.0).contains(&share) => {
            let from = if least > 0.0 { "above 0" } else { "from 0" };
            let valid = format!("a share of the documents, {from} and at most 1");
            Err(blame.value(&format!("optimizer.{key}"), share, valid))
        }
        share => Ok(share),
    }
}

fn check_resamples(blame: &Blame<'_>, count: i64) -> Result<usize, SpaceError> {
    match usize::try_from(count) {
        Ok(count @ 0..=10_000) => Ok(count),
        _ => Err(blame.value("optimizer.resamples", count, "a number from 0 to 10000")),
    }
}

fn check_warm_start(
    blame: &Blame<'_>,
    raw: &RawOptimizer,
    folder: &Path,
) -> Result<Vec<WarmStart>, SpaceError> {
    let mut starts = Vec::new();
    for word in raw.warm_start.iter().flat_map(|words| &words.0) {
        let start = WarmStart::from_word(word, folder);
        if word.is_empty() || starts.contains(&start) {
            let valid = "\"parents\", recipes and run folders, each once";
            return Err(blame.value("optimizer.warm_start", format!("{word:?}"), valid));
        }
        starts.push(start);
    }
    Ok(starts)
}
