//! `[splits]`: three files, or the split of a data set that is dealt.

use super::Splits;
use super::error::DefinitionError;
use super::table::Table;

/// Search, selection, holdout, where the file does not say.
const SHARES: [f64; 3] = [0.5, 0.2, 0.3];
const FILES: [&str; 3] = ["search", "selection", "holdout"];
const DEALT: [&str; 3] = ["from", "shares", "stratify"];

pub fn splits(table: &Table, has_dataset: bool) -> Result<Splits, DefinitionError> {
    let valid: Vec<&str> = FILES.into_iter().chain(DEALT).collect();
    let splits = table.table("splits", &valid)?;
    let by_hand = splits.as_ref().filter(|splits| FILES.iter().any(|key| splits.has(key)));
    match by_hand {
        Some(splits) => files(table, splits, has_dataset),
        None if has_dataset => dealt(table, splits.as_ref()),
        None => Err(table.missing(
            "splits",
            "the files `search`, `selection` and `holdout`, or a data set (`dataset_path`) to deal them from",
        )),
    }
}

fn files(table: &Table, splits: &Table, has_dataset: bool) -> Result<Splits, DefinitionError> {
    if let Some(key) = DEALT.into_iter().find(|key| splits.has(key)) {
        return Err(splits.both(key, "splits.search"));
    }
    if has_dataset {
        return Err(table.both("dataset_path", "splits.search"));
    }
    let file = |key| splits.required(key, "a JSON-lines file of the task's folder");
    Ok(Splits::Files {
        search: file("search")?,
        selection: file("selection")?,
        holdout: file("holdout")?,
    })
}

fn dealt(table: &Table, splits: Option<&Table>) -> Result<Splits, DefinitionError> {
    let Some(splits) = splits else {
        return Ok(Splits::Dealt { from: from(table, None)?, shares: SHARES, stratify: None });
    };
    Ok(Splits::Dealt {
        from: from(table, splits.name("from")?)?,
        shares: shares(splits)?,
        stratify: splits.name("stratify")?,
    })
}

/// The split that is named, else what can be searched on. A task that has only a test split can be scored on it; that nobody
/// searches on one is checked when a search begins.
fn from(table: &Table, named: Option<String>) -> Result<String, DefinitionError> {
    let own = [table.name("validation_split")?, table.name("training_split")?];
    let test = table.name("test_split")?;
    let free = own.into_iter().flatten().find(|split| Some(split) != test.as_ref());
    named.or(free).or(test).ok_or_else(|| {
        let expected = "the data set's split whose documents are dealt, as there is no `validation_split`, \
                        `training_split` or `test_split`";
        table.missing("splits.from", expected)
    })
}

fn shares(splits: &Table) -> Result<[f64; 3], DefinitionError> {
    let expected = "three positive shares that sum to 1, of search, selection and holdout";
    let Some(list) = splits.list("shares")? else { return Ok(SHARES) };
    let shares: Option<Vec<f64>> = list.iter().map(|share| share.as_f64()).collect();
    let shares = shares.and_then(|shares| <[f64; 3]>::try_from(shares).ok());
    let shares = shares.filter(|shares| shares.iter().all(|share| *share > 0.0));
    let whole = |shares: &[f64; 3]| (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9;
    shares.filter(whole).ok_or_else(|| splits.wrong("shares", expected))
}
