//! Whose fault it is that a recipe has no score.

use super::planned::PlanError;
use super::resident::ResidentError;
use super::{EvaluateError, LoadError, OpenError, RoutingError, ScoreError};
use crate::checkpoint::{ArchitectureError, CheckpointError};
use crate::merge::MergeError;
use crate::model::ConfigError;

pub(super) enum Fault {
    /// This candidate's; the next one may be fine.
    Candidate(String),
    /// Every later recipe would meet it too.
    Machine(EvaluateError),
}

/// Of a candidate's prompts: nothing else is opened when a search is under way.
impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        Fault::Candidate(told(&error))
    }
}

/// With the errors behind it.
fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", told(source)),
        None => error.to_string(),
    }
}

impl From<MergeError> for Fault {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::Checkpoint(
                error @ (CheckpointError::ShapesDiffer { .. } | CheckpointError::NoTensor { .. }),
            ) => Fault::Candidate(error.to_string()),
            MergeError::Checkpoint(error) => Fault::Machine(error.into()),
            other => Fault::Candidate(told(&other)),
        }
    }
}

impl From<PlanError> for Fault {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Merge(error) => error.into(),
            PlanError::Load(LoadError::Checkpoint(error)) => Fault::Machine(error.into()),
            other => Fault::Candidate(told(&other)),
        }
    }
}

impl From<ResidentError> for Fault {
    fn from(error: ResidentError) -> Self {
        match error {
            ResidentError::Merge(error) => error.into(),
            other => Fault::Candidate(told(&other)),
        }
    }
}

impl From<ScoreError> for Fault {
    fn from(error: ScoreError) -> Self {
        Fault::Candidate(told(&error))
    }
}

impl From<RoutingError> for Fault {
    fn from(error: RoutingError) -> Self {
        Fault::Candidate(told(&error))
    }
}

impl From<ArchitectureError> for Fault {
    fn from(error: ArchitectureError) -> Self {
        Fault::Candidate(told(&error))
    }
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Fault::Candidate(told(&error))
    }
}
