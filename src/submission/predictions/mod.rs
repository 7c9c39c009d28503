//! The competition's predictions: a CSV file `id,prediction,dummy_field` with a row for each row of the file that was asked.
//!
//! [`asked_rows`] lists what a file asks, [`write`](fn@write) writes the answers as the starter kit's pandas would, [`read`](fn@read) reads such
//! a file again, [`validate`](fn@validate) and [`faults`] say what is wrong with one, and [`compare`](fn@compare) where two of them differ.

mod asked;
mod compare;
mod error;
mod problem;
mod read;
mod validate;
mod write;

pub use asked::{AskedRow, asked_rows};
pub use compare::{Answered, Comparison, Difference, compare};
pub use error::PredictionError;
pub use problem::Problem;
pub use read::{WrittenRow, read};
pub use validate::{faults, validate};
pub use write::write;

/// The columns, in order.
pub const HEADER: [&str; 3] = ["id", "prediction", "dummy_field"];

/// What the last column always has.
const DUMMY: &str = "0";

/// An answer to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// Of the row.
    pub id: String,
    /// What the model answered.
    pub answer: Predicted,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicted {
    /// Index of a choice, from 0.
    Choice(usize),
    /// A text of its own.
    Text(String),
}
