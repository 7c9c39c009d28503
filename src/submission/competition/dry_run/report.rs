//! What a run of the kit showed, as a file that `check` reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::kit::Generation;

/// Of the report's format.
pub const DRY_RUN_FORMAT: u32 = 1;

/// What the competition allows merging and evaluation together.
pub const LIMIT_SECONDS: f64 = 3600.0;

/// Rows of the kit's files: the two that its program takes by default, and the one that is judged.
const SETS: [(&str, RowCounts); 2] = [
    (
        "validation (cosmos_qa.csv and xsum.csv)",
        RowCounts { multiple_choice: 500, generation: 200 },
    ),
    ("test.csv", RowCounts { multiple_choice: 457, generation: 350 }),
];

/// How many rows of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// One of several answers is asked for.
    pub multiple_choice: usize,
    /// A text is asked for.
    pub generation: usize,
}

/// What the kit's process said of itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Seconds of the class's `merge()`, its loading included.
    pub load_and_merge: f64,
    /// Seconds of each row with choices.
    pub multiple_choice: Vec<f64>,
    /// Seconds of each row with a text.
    pub generation: Vec<f64>,
    /// Largest resident memory.
    pub peak_bytes: u64,
    /// Largest memory of the accelerator, if there is one.
    pub device_bytes: Option<u64>,
    /// Where it ran.
    pub machine: Machine,
}

/// Where the kit ran.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The accelerator's name, or else the processor's.
    pub device: String,
    /// Versions of `python` and of the libraries that count.
    pub versions: BTreeMap<String, String>,
}

/// Seconds of the parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// From the start of the process to its end.
    pub total: f64,
    /// Of the class's `merge()`, its loading included.
    pub load_and_merge: f64,
    /// Mean of the rows with choices.
    pub multiple_choice_row: Option<f64>,
    /// Mean of the rows with texts.
    pub generation_row: Option<f64>,
    /// All that is not rows: imports, loading, merging, saving.
    pub apart_from_rows: f64,
}

impl Times {
    /// Of a process that took `total` seconds.
    pub fn new(total: f64, measured: &Measured) -> Times {
        let mean = |rows: &[f64]| match rows.len() {
            0 => None,
            count => Some(rows.iter().sum::<f64>() / count as f64),
        };
        let rows: f64 = measured.multiple_choice.iter().chain(&measured.generation).sum();
        Times {
            total,
            load_and_merge: measured.load_and_merge,
            multiple_choice_row: mean(&measured.multiple_choice),
            generation_row: mean(&measured.generation),
            apart_from_rows: (total - rows).max(0.0),
        }
    }
}

/// How long one of the competition's sets would take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Which.
    pub set: String,
    /// Its rows.
    pub rows: RowCounts,
    /// With all that is not rows.
    pub seconds: f64,
}

/// Of both sets; none where the sample lacked a kind of rows.
pub fn estimates(times: &Times) -> Vec<Estimate> {
    let (Some(choice), Some(text)) = (times.multiple_choice_row, times.generation_row) else {
        return Vec::new();
    };
    let estimate = |(set, rows): (&str, RowCounts)| Estimate {
        set: set.to_owned(),
        rows,
        seconds: times.apart_from_rows
            + rows.multiple_choice as f64 * choice
            + rows.generation as f64 * text,
    };
    SETS.into_iter().map(estimate).collect()
}

/// The whole outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DryRunReport {
    /// [`DRY_RUN_FORMAT`].
    pub format: u32,
    /// Version of merge-search.
    pub written_by: String,
    /// The class.
    pub class: String,
    /// Of its file; that of `submission.json` if it is the same export.
    pub class_sha256: String,
    /// What it is called on the kit's command line.
    pub method: String,
    /// Which kit.
    pub kit: Generation,
    /// What it was given.
    pub rows: RowCounts,
    /// How long it took; parts of it are 0 where the kit's process did not say.
    pub seconds: Times,
    /// Largest resident memory, if known.
    pub peak_bytes: Option<u64>,
    /// Largest memory of the accelerator, if there is one.
    pub device_bytes: Option<u64>,
    /// Where it ran.
    pub machine: Machine,
    /// How long the competition's sets would take there.
    pub estimates: Vec<Estimate>,
    /// What is wrong with the predictions; empty where all is right.
    pub problems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 30 s, of which rows are 2 * 1 + 2 * 4 = 10 s; 20 + 500 * 1 + 200 * 4 and 20 + 457 * 1 + 350 * 4.
    #[test]
    fn sets_are_extrapolated_by_kind_of_row() {
        let measured = Measured {
            load_and_merge: 5.0,
            multiple_choice: vec![0.5, 1.5],
            generation: vec![3.0, 5.0],
            ..Measured::default()
        };
        let times = Times::new(30.0, &measured);
        assert_eq!(times.apart_from_rows, 20.0);
        let seconds: Vec<f64> = estimates(&times).iter().map(|set| set.seconds).collect();
        assert_eq!(seconds, [1320.0, 1877.0]);
        let one_kind = Times::new(30.0, &Measured { generation: Vec::new(), ..measured });
        assert_eq!(estimates(&one_kind), []);
    }
}
