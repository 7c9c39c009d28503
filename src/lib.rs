//! merge-search: evolutionary search for the best way to merge expert language models.
pub mod evaluate;
pub mod genome;
pub mod model;
pub mod outcome;
pub mod record;
pub mod space;
pub mod task;
pub mod units;
