//! A table of rivals' scores, from TOML (a table per rival, a key per task) or CSV (a line per rival, a column per task).

use std::collections::BTreeMap;
use std::path::Path;

use super::SpaceError;
use super::error::Blame;
use crate::objective::RivalTable;

/// Reads and checks `file`, which `key` of the blamed file names.
pub(super) fn read(blame: &Blame<'_>, key: &str, file: &Path) -> Result<RivalTable, SpaceError> {
    let named = || format!("`{}`", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| {
        blame.value(key, named(), format!("a .toml or .csv file that can be read ({error})"))
    })?;
    let table = match file.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => from_toml(&text, file)?,
        Some("csv") => from_csv(&text, file)?,
        _ => return Err(blame.value(key, named(), "a file that ends in .toml or .csv")),
    };
    if table.is_empty() {
        return Err(blame.value(key, format!("{}, which is empty", named()), "at least one rival"));
    }
    Ok(table)
}

fn syntax(file: &Path, message: impl ToString) -> SpaceError {
    SpaceError::Syntax { file: file.to_owned(), message: message.to_string().trim_end().to_owned() }
}

const SCORE: &str = "a score from 0 to 1, higher is better";

fn score(
    file: &Path,
    key: &str,
    number: Option<f64>,
    shown: impl ToString,
) -> Result<f64, SpaceError> {
    let valid = number.filter(|number| (0.0..=1.0).contains(number));
    valid.ok_or_else(|| Blame(file).value(key, shown, SCORE))
}

fn from_toml(text: &str, file: &Path) -> Result<RivalTable, SpaceError> {
    let raw: toml::Table = toml::from_str(text).map_err(|error| syntax(file, error))?;
    let rival = |(name, tasks): (&String, &toml::Value)| {
        let tasks = tasks.as_table().ok_or_else(|| {
            Blame(file).value(name, tasks, "a table of the rival's scores by task")
        })?;
        let scores = tasks.iter().map(|(task, value)| {
            let number = value.as_float().or(value.as_integer().map(|whole| whole as f64));
            Ok((task.clone(), score(file, &format!("{name}.{task}"), number, value)?))
        });
        Ok((name.clone(), scores.collect::<Result<BTreeMap<_, _>, SpaceError>>()?))
    };
    raw.iter().map(rival).collect()
}

/// An empty cell: the rival did not enter that task.
fn from_csv(text: &str, file: &Path) -> Result<RivalTable, SpaceError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| syntax(file, error))?.clone();
    let mut table = RivalTable::new();
    for record in reader.records() {
        let record = record.map_err(|error| syntax(file, error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let name = record.get(0).unwrap_or_default();
        let key = |task: &str| format!("{name}.{task} (line {line})");
        let mut scores = BTreeMap::new();
        for (task, cell) in header.iter().zip(&record).skip(1).filter(|(_, cell)| !cell.is_empty())
        {
            let number = score(file, &key(task), cell.parse().ok(), cell)?;
            if scores.insert(task.to_owned(), number).is_some() {
                return Err(Blame(file).value(task, "the name of two columns", "each task once"));
            }
        }
        if name.is_empty() || table.insert(name.to_owned(), scores).is_some() {
            let found = format!("{name:?} (line {line})");
            let first = header.get(0).unwrap_or_default();
            return Err(Blame(file).value(first, found, "a name of its own for every rival"));
        }
    }
    Ok(table)
}
