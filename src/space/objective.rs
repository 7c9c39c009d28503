//! Raw → checked: what is searched for.

use std::path::Path;

use super::error::Blame;
use super::raw::{RawObjective, RawSpace};
use super::{Note, Objective, SpaceError, rivals};
use crate::objective::{
    AggregateChoice, AggregateKind, Constraints, HIDDEN_WEIGHT, ObjectiveKey, RivalTable,
    TaskWeights,
};

/// The aggregate over tasks; the rivals' file is taken from `folder`.
pub(super) fn check_aggregate(
    blame: &Blame<'_>,
    raw: &RawSpace,
    folder: &Path,
    notes: &mut Vec<Note>,
) -> Result<AggregateChoice, SpaceError> {
    let kind = check_kind(blame, raw.objective.aggregate.as_deref())?;
    check_weights(blame, raw, kind)?;
    notes.extend(weights_note(raw));
    Ok(AggregateChoice {
        kind,
        weights: TaskWeights::ByName(raw.tasks.weights.clone()),
        zero_floor: check_zero_floor(blame, kind, raw.objective.zero_floor)?,
        rivals: check_rivals(blame, kind, raw.objective.rivals.as_deref(), folder)?,
        hidden: check_hidden(blame, raw.objective.hidden.as_deref())?,
        hidden_weight: check_hidden_weight(blame, &raw.objective)?,
    })
}

fn check_kind(blame: &Blame<'_>, word: Option<&str>) -> Result<AggregateKind, SpaceError> {
    let Some(word) = word else {
        return Ok(AggregateKind::GeometricMean);
    };
    let kind = AggregateKind::ALL.into_iter().find(|kind| kind.as_str() == word);
    kind.ok_or_else(|| {
        let valid = AggregateKind::ALL.map(AggregateKind::as_str).join(", ");
        blame.value("objective.aggregate", format!("`{word}`"), valid)
    })
}

fn check_weights(blame: &Blame<'_>, raw: &RawSpace, kind: AggregateKind) -> Result<(), SpaceError> {
    for (task, weight) in &raw.tasks.weights {
        let key = format!("{}.{task}", ObjectiveKey::Weights);
        if !(weight.is_finite() && *weight >= 0.0) {
            return Err(blame.value(&key, weight, "a number, 0 or more"));
        }
        if kind == AggregateKind::WorstTask && *weight != 0.0 && *weight != 1.0 {
            let valid = "0 (the task does not count) or 1, with aggregate worst_task";
            return Err(blame.value(&key, weight, valid));
        }
    }
    Ok(())
}

/// Shares are what a reader of the file expects of weights; other numbers are taken for shares of their sum.
fn weights_note(raw: &RawSpace) -> Option<Note> {
    let weights = &raw.tasks.weights;
    let unlisted = raw.tasks.folders.len().saturating_sub(weights.len());
    let sum = weights.values().sum::<f64>() + unlisted as f64;
    let equal =
        unlisted == 0 && weights.values().all(|weight| Some(weight) == weights.values().next());
    (!weights.is_empty() && !equal && (sum - 1.0).abs() > 1e-9)
        .then_some(Note::WeightsSum { sum, unlisted })
}

fn check_zero_floor(
    blame: &Blame<'_>,
    kind: AggregateKind,
    floor: Option<f64>,
) -> Result<f64, SpaceError> {
    let key = "objective.zero_floor";
    match floor {
        None => Ok(0.0),
        Some(floor) if !kind.has_zero_floor() => {
            let valid = "left out: only geometric_mean and mean_win_rate have a floor";
            Err(blame.value(key, floor, valid))
        }
        Some(floor) if (0.0..1.0).contains(&floor) => Ok(floor),
        Some(floor) => {
            let valid = "0 (a zero makes the whole 0) or more, and less than 1";
            Err(blame.value(key, floor, valid))
        }
    }
}

fn check_rivals(
    blame: &Blame<'_>,
    kind: AggregateKind,
    file: Option<&str>,
    folder: &Path,
) -> Result<RivalTable, SpaceError> {
    let key = "objective.rivals";
    match (kind, file) {
        (AggregateKind::MeanWinRate, Some(file)) => rivals::read(blame, key, &folder.join(file)),
        (AggregateKind::MeanWinRate, None) => {
            let valid = "a .toml or .csv file of scores; mean_win_rate needs it";
            Err(blame.value(key, "missing", valid))
        }
        (_, None) => Ok(RivalTable::new()),
        (_, Some(file)) => {
            let valid = "left out: only mean_win_rate has rivals";
            Err(blame.value(key, format!("{file:?}"), valid))
        }
    }
}

fn check_hidden(blame: &Blame<'_>, names: Option<&[String]>) -> Result<Vec<String>, SpaceError> {
    let mut hidden: Vec<String> = Vec::new();
    for name in names.unwrap_or_default() {
        if hidden.contains(name) {
            let found = format!("`{name}` twice");
            return Err(blame.value("objective.hidden", found, "each task once"));
        }
        hidden.push(name.clone());
    }
    if names.is_some() && hidden.is_empty() {
        return Err(blame.value("objective.hidden", "empty", "names of tasks, or left out"));
    }
    Ok(hidden)
}

fn check_hidden_weight(blame: &Blame<'_>, raw: &RawObjective) -> Result<f64, SpaceError> {
    let key = "objective.hidden_weight";
    match raw.hidden_weight {
        None => Ok(HIDDEN_WEIGHT),
        Some(weight) if raw.hidden.is_none() => {
            Err(blame.value(key, weight, "left out without `objective.hidden`"))
        }
        Some(weight) if weight > 0.0 && weight < 1.0 => Ok(weight),
        Some(weight) => Err(blame.value(key, weight, "a share above 0 and below 1")),
    }
}

/// The axes of the front, the first of which is the aggregate under its own name.
pub(super) fn check_axes(
    blame: &Blame<'_>,
    words: Option<&[String]>,
    kind: AggregateKind,
) -> Result<Vec<Objective>, SpaceError> {
    let Some(words) = words else {
        return Ok(vec![Objective::Aggregate, Objective::RelativeTime]);
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let key = |objective: Objective| match objective {
        Objective::Aggregate => kind.as_str(),
        Objective::RelativeTime => "relative_time",
        Objective::RelativeMemory => "relative_memory",
    };
    Objective::axes(&words, key).ok_or_else(|| {
        let name = kind.as_str();
        let valid = format!(
            "[\"{name}\"], to which \"relative_time\" and \"relative_memory\" may be added, each once"
        );
        blame.value("objectives", format!("{words:?}"), valid)
    })
}

/// What a candidate may cost.
pub(super) fn check_constraints(
    blame: &Blame<'_>,
    raw: &RawObjective,
) -> Result<Constraints, SpaceError> {
    let limit = |key: &str, limit: Option<f64>| match limit {
        Some(limit) if !(limit.is_finite() && limit > 0.0) => {
            Err(blame.value(key, limit, "a number above 0 (the base model's is 1)"))
        }
        limit => Ok(limit),
    };
    Ok(Constraints {
        max_relative_time: limit("objective.max_relative_time", raw.max_relative_time)?,
        max_relative_memory: limit("objective.max_relative_memory", raw.max_relative_memory)?,
    })
}

impl Objective {
    /// All of them.
    pub const ALL: [Objective; 3] =
        [Objective::Aggregate, Objective::RelativeTime, Objective::RelativeMemory];

    /// The word on the command line and in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Objective::Aggregate => "accuracy",
            Objective::RelativeTime => "time",
            Objective::RelativeMemory => "memory",
        }
    }

    /// The objectives that `words` name by `word`; `None` unless the first is the aggregate and each stands there once.
    pub fn axes<'a>(words: &[&str], word: impl Fn(Objective) -> &'a str) -> Option<Vec<Objective>> {
        let named = |text: &&str| Self::ALL.into_iter().find(|objective| word(*objective) == *text);
        let axes: Vec<Objective> = words.iter().map(named).collect::<Option<_>>()?;
        let once = (1..axes.len()).all(|index| !axes[..index].contains(&axes[index]));
        (once && axes.first() == Some(&Objective::Aggregate)).then_some(axes)
    }
}
