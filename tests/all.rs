//! The one integration-test binary: every extra one links polars and candle again.
mod analysis;
mod command;
mod layering;
mod merge;
mod model;
mod model_scoring;
mod model_task;
mod objective;
mod optimizer;
mod record;
mod record_damage;
mod search;
mod space;
mod vocabulary;
