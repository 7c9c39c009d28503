//! Honest splits: which documents are searched on, selected on and held out, and which must not be touched.
//!
//! Text in, indices out; nothing here knows of files, prompts or models. `ngrams` says what of a text counts, `shared` and
//! `groups` put together what is alike, [`deal()`] deals groups to splits, [`overlaps`] looks for documents of a forbidden
//! file, [`benchmark_test`] knows the splits on which leaderboards score.

mod benchmarks;
mod deal;
mod groups;
mod ngrams;
mod overlap;
mod shared;

pub use benchmarks::benchmark_test;
pub use deal::{Content, DealError, Dealt, deal};
pub use ngrams::{NEAR_DUPLICATE, NGRAM_WORDS, content_hash, fnv1a};
pub use overlap::{Overlap, overlaps};

#[cfg(test)]
mod tests;
