//! What a run leaves on disk.
mod trial;
pub use trial::{GeometricMean, Trial, TrialKind};
