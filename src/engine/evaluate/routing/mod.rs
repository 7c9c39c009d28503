//! Document routers: which of several merges reads a document.
//!
//! A prompt becomes numbers ([`text`]: of its text, [`prompts`]: of its tokens by the base model), a gate is fitted to those of
//! the search split ([`fit`], with [`clusters`] and [`ridge`]) and from then on tells the class of any document by its prompt
//! ([`FittedGate`]). [`gates`] remembers what a search has fitted, [`routed`] is what a recipe says of merges and classes,
//! [`mod@join`] makes one evaluation of those of the merges, [`weights`] counts what the merges have in common once. [`served`] is a routed
//! recipe outside a search.

mod clusters;
mod error;
mod fit;
mod gate;
mod gates;
mod join;
mod prompts;
mod ridge;
mod routed;
mod served;
mod text;
mod weights;

pub use error::RoutingError;
pub use gate::{FittedGate, Term};
pub(super) use gates::{Gates, Judgement};
pub(super) use join::{Scored, join};
pub(super) use prompts::PromptReader;
pub(super) use routed::Routed;
pub use served::AskError;
pub(super) use served::{Router, load_routed};
pub(super) use weights::{Weights, made_of};

#[cfg(test)]
mod tests;
