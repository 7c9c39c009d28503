//! merge-search: evolutionary search for the best way to merge expert language models.
//!
//! # Architecture
//!
//! Two columns meet at two plain types:
//!
//! ```text
//!  space ─► genome ─► optimizer           checkpoint ─► merge ─► model ─► evaluate
//!      (numbers only, no tensors)               (tensors only, no search)
//!                  │                                    │
//!                  └──────────►  search  ◄──────────────┘
//!                   Recipe goes down ▼      ▲ Outcome comes up
//!                          record (parquet) ─► analysis, submission
//! ```
//!
//! A [`recipe::Recipe`] is one merge, in mergekit's own words; an [`outcome::Outcome`] is what was measured of it, or why
//! it could not be. The optimizer never sees a tensor; the analysis of a run never sees one either: candle is named only in
//! [`model`] and [`evaluate`], polars only in [`record`], [`analysis`] and [`task`] (whose datasets may be parquet). Models
//! and datasets alike come through [`hub`], the one module that speaks to a server. The library neither prints nor reads the
//! environment: [`search::run`] emits [`search::SearchEvent`]s, and the command line (a module of the binary) draws them.
//! `tests/layering.rs` holds the table of who may import whom. [`objective`] says what is searched for; a space names it in its
//! words and a record keeps it, so both may import it; an optimizer for several costs takes the geometry of fronts from it.
//! [`race`] decides which candidates see which documents, from scores alone;
//! a record keeps its settings. [`rules`] are those of competitions, held against spaces, runs and submissions.
//! [`target`] estimates, from a network's spec, how long a competition's evaluation takes on its GPU.
//!
//! What merges and scores is a crate of its own, `merge-search-engine` in `src/engine` (its modules are this crate's too): it is
//! compiled to be fast, the rest to be compiled fast.
//!
//! Start reading at [`search::run`], which tells the story of a run.
pub use merge_search_engine::{
    checkpoint, evaluate, hub, merge, model, outcome, recipe, task, units,
};

pub mod analysis;
pub mod genome;
pub mod objective;
pub mod optimizer;
pub mod race;
pub mod record;
pub mod rules;
pub mod search;
pub mod space;
pub mod submission;
pub mod target;
