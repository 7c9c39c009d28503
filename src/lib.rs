//! merge-search: evolutionary search for the best way to merge expert language models.
pub mod analysis;
pub mod genome;
pub mod objective;
pub mod outcome;
pub mod record;
pub mod space;
pub mod units;
