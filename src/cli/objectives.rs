//! What is searched for besides accuracy: what the command line says, or else the space.

use clap::Args as ClapArgs;
use merge_search::objective::Constraints;
use merge_search::record::RunManifest;
use merge_search::space::{Objective, SearchSpace};

use super::Failure;

/// What overrides the space's `objectives` and the limits in its `[objective]`.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct ObjectiveArgs {
    /// Axes of the front: accuracy, to which time and memory may be added, with commas between [default: the space's, or
    /// accuracy,time]
    #[arg(long, value_name = "LIST", value_parser = axes)]
    objectives: Option<Axes>,
    /// Candidates that take longer than so many times the base model's time cannot win
    #[arg(long, value_name = "TIMES", value_parser = limit)]
    max_relative_time: Option<f64>,
    /// Candidates whose weights take more than so many times the base model's bytes cannot win
    #[arg(long, value_name = "TIMES", value_parser = limit)]
    max_relative_memory: Option<f64>,
}

/// The list as one value: clap takes a `Vec` for an option that is repeated.
#[derive(Debug, Clone)]
struct Axes(Vec<Objective>);

fn axes(text: &str) -> Result<Axes, String> {
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    let axes = Objective::axes(&words, Objective::as_str);
    axes.map(Axes).ok_or_else(|| {
        "accuracy, then time and memory or one of them, each once, with commas between".to_owned()
    })
}

/// A factor on what the base model takes.
pub fn limit(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(limit) if limit > 0.0 && f64::is_finite(limit) => Ok(limit),
        _ => Err("a number above 0 (the base model's is 1)".to_owned()),
    }
}

impl ObjectiveArgs {
    /// Overrides what the space says.
    pub fn apply(&self, space: &mut SearchSpace) {
        if let Some(Axes(axes)) = &self.objectives {
            space.objectives.clone_from(axes);
        }
        let limits = &mut space.constraints;
        limits.max_relative_time = self.max_relative_time.or(limits.max_relative_time);
        limits.max_relative_memory = self.max_relative_memory.or(limits.max_relative_memory);
    }

    /// As the run that is resumed began.
    pub fn recorded(manifest: &RunManifest) -> Result<Self, Failure> {
        let words: Vec<&str> = manifest.objectives.iter().map(String::as_str).collect();
        let axes = Objective::axes(&words, Objective::as_str).ok_or_else(|| {
            Failure::input(format!("the run was begun with the objectives {words:?}"))
        })?;
        let Constraints { max_relative_time, max_relative_memory } = manifest.constraints;
        Ok(Self { objectives: Some(Axes(axes)), max_relative_time, max_relative_memory })
    }
}

/// For the manifest.
pub fn words(space: &SearchSpace) -> Vec<String> {
    space.objectives.iter().map(|objective| objective.as_str().to_owned()).collect()
}
