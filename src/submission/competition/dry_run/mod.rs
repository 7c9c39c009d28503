//! A run of the kit on a few rows: which rows, what is to be expected of it, and what its times say of the whole.
//!
//! Whoever starts the kit is not here; this is about what goes in and what comes out.

mod json_lines;
mod report;
mod rows;

pub use json_lines::check_json_lines;
pub use report::{
    DRY_RUN_FORMAT, DryRunReport, Estimate, LIMIT_SECONDS, Machine, Measured, RowCounts, Times,
    estimates,
};
pub use rows::{KitRow, KitRows, RowsError};
