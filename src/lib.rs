//! merge-search: evolutionary search for the best way to merge expert language models.
pub mod checkpoint;
pub mod genome;
pub mod merge;
pub mod outcome;
pub mod recipe;
pub mod record;
pub mod space;
pub mod units;
