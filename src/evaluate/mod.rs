//! Scoring a model on the documents of the tasks, as lm-eval does for `multiple_choice`.

mod pack;
mod scoring;
mod tokenize;

pub use pack::Pack;
pub use scoring::{ScoreError, ScoringSet};
pub use tokenize::TokenizeError;
