//! `front.parquet`: what is worth choosing among, and the baselines on the same axes; `timings.parquet`: what was measured of
//! them, kept apart because a resumed run decides by it.

use polars::prelude::*;

use super::RecordError;
use super::table::Table;
use crate::outcome::{Cost, Estimate, Timing};
use crate::units::{Bytes, Seconds, Split};

/// A member of the front, or a model that it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontRow {
    /// Number of the trial.
    pub trial: u64,
    /// `base`, an expert's name, `uniform`, `winner`, or nothing.
    pub name: Option<String>,
    /// Whether it is on the front: the winner, and whoever none of the others dominates on the selection split. While the
    /// search is running, on the search split.
    pub member: bool,
    /// The run's objective on search, selection and holdout; `None` where it was not scored. No choice depends on holdout.
    pub objectives: [Option<Estimate>; 3],
    /// Time, the base model's = 1: the median of `timing`, or else pooled over all trials that do the same work.
    pub relative_time: f64,
    /// Measured after the search, in turns with the base model; `None` before, or where that was not done.
    pub timing: Option<Timing>,
    /// Counted on the selection split; on search where there is no other.
    pub cost: Cost,
    /// As YAML.
    pub recipe: String,
}

impl FrontRow {
    /// Its objective on `split`.
    pub fn on(&self, split: Split) -> Option<Estimate> {
        self.objectives[split as usize]
    }

    /// With its interval; without one both ends are the value.
    pub fn time(&self) -> Estimate {
        let once = Estimate {
            value: self.relative_time,
            low: self.relative_time,
            high: self.relative_time,
        };
        self.timing.map_or(once, |timing| timing.relative_time)
    }
}

/// What was measured of a trial's model; `None`: it could not be.
pub type TrialTiming = (u64, Option<Timing>);

pub(super) fn front_columns(rows: &[FrontRow]) -> Vec<Column> {
    let mut columns = vec![
        column("trial", rows, |row| row.trial),
        column("name", rows, |row| row.name.as_deref()),
        column("member", rows, |row| row.member),
    ];
    for split in Split::ALL {
        columns.extend(estimate(&objective_column(split), rows, |row| row.on(split)));
    }
    columns.push(column("relative_time", rows, |row| row.relative_time));
    columns.extend(timing(rows, |row| row.timing));
    columns.push(column("flops_per_item", rows, |row| row.cost.flops_per_item));
    columns.push(column("weight_bytes", rows, |row| row.cost.weight_bytes.0));
    columns.push(column("recipe", rows, |row| row.recipe.as_str()));
    columns
}

pub(super) fn timing_columns(rows: &[TrialTiming]) -> Vec<Column> {
    let mut columns = vec![
        column("trial", rows, |(trial, _)| *trial),
        column("relative_time", rows, |(_, timing)| timing.map(|known| known.relative_time.value)),
    ];
    columns.extend(timing(rows, |(_, timing)| *timing));
    columns
}

/// All of a timing but the relative time itself.
fn timing<R>(rows: &[R], of: impl Fn(&R) -> Option<Timing>) -> Vec<Column> {
    let end = |suffix: &str, end: fn(Estimate) -> f64| {
        let name = format!("relative_time{suffix}");
        column(&name, rows, |row| of(row).map(|timing| end(timing.relative_time)))
    };
    let mut columns = vec![end("_low", |time| time.low), end("_high", |time| time.high)];
    columns.extend(estimate("seconds_per_item", rows, |row| Some(of(row)?.seconds_per_item)));
    columns.extend(estimate("seconds_per_token", rows, |row| of(row)?.seconds_per_token));
    columns.push(column("load_seconds", rows, |row| of(row).map(|timing| timing.load_seconds.0)));
    columns
        .push(column("resident_bytes", rows, |row| of(row).map(|timing| timing.resident_bytes.0)));
    columns.push(column("rounds", rows, |row| of(row).map(|timing| timing.rounds as u64)));
    columns
}

fn objective_column(split: Split) -> String {
    format!("objective_{split}")
}

fn column<'a, R, T>(name: &str, rows: &'a [R], value: impl Fn(&'a R) -> T) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Column::new(name.into(), rows.iter().map(value).collect::<Vec<T>>())
}

/// A value and the ends of its interval.
fn estimate<R>(name: &str, rows: &[R], of: impl Fn(&R) -> Option<Estimate>) -> Vec<Column> {
    let end = |suffix: &str, end: fn(Estimate) -> f64| {
        column(&format!("{name}{suffix}"), rows, |row| of(row).map(end))
    };
    vec![
        end("", |estimate| estimate.value),
        end("_low", |estimate| estimate.low),
        end("_high", |estimate| estimate.high),
    ]
}

pub(super) fn read_front(table: &Table) -> Result<Vec<FrontRow>, RecordError> {
    (0..table.height()).map(|index| Row { table, index }.front()).collect()
}

pub(super) fn read_timings(table: &Table) -> Result<Vec<TrialTiming>, RecordError> {
    let row = |index| {
        let row = Row { table, index };
        Ok((row.u64("trial")?, row.timing()?))
    };
    (0..table.height()).map(row).collect()
}

struct Row<'a> {
    table: &'a Table,
    index: usize,
}

impl Row<'_> {
    fn front(&self) -> Result<FrontRow, RecordError> {
        let on = |split| self.estimate(&objective_column(split));
        Ok(FrontRow {
            trial: self.u64("trial")?,
            name: self.table.str("name")?.get(self.index).map(str::to_owned),
            member: self.required("member", self.table.bool("member")?.get(self.index))?,
            objectives: [on(Split::Search)?, on(Split::Selection)?, on(Split::Holdout)?],
            relative_time: self.f64("relative_time")?,
            timing: self.timing()?,
            cost: Cost {
                flops_per_item: self.f64("flops_per_item")?,
                weight_bytes: Bytes(self.u64("weight_bytes")?),
            },
            recipe: self.required("recipe", self.table.str("recipe")?.get(self.index))?.to_owned(),
        })
    }

    /// Whatever was measured has a number of rounds.
    fn timing(&self) -> Result<Option<Timing>, RecordError> {
        let Some(rounds) = self.table.u64("rounds")?.get(self.index) else { return Ok(None) };
        let measured = |name: &str| self.required(name, self.estimate(name)?);
        Ok(Some(Timing {
            relative_time: measured("relative_time")?,
            seconds_per_item: measured("seconds_per_item")?,
            seconds_per_token: self.estimate("seconds_per_token")?,
            load_seconds: Seconds(self.f64("load_seconds")?),
            resident_bytes: Bytes(self.u64("resident_bytes")?),
            rounds: rounds as usize,
        }))
    }

    fn estimate(&self, name: &str) -> Result<Option<Estimate>, RecordError> {
        let Some(value) = self.table.f64(name)?.get(self.index) else { return Ok(None) };
        let (low, high) = (self.f64(&format!("{name}_low"))?, self.f64(&format!("{name}_high"))?);
        Ok(Some(Estimate { value, low, high }))
    }

    fn u64(&self, column: &str) -> Result<u64, RecordError> {
        self.required(column, self.table.u64(column)?.get(self.index))
    }

    fn f64(&self, column: &str) -> Result<f64, RecordError> {
        self.required(column, self.table.f64(column)?.get(self.index))
    }

    fn required<T>(&self, column: &str, cell: Option<T>) -> Result<T, RecordError> {
        cell.ok_or_else(|| self.table.invalid(self.index, column))
    }
}
