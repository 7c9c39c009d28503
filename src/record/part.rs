//! The files a run's rows are spread over.

use std::path::{Path, PathBuf};

use super::{Trial, TrialKind};
use crate::units::Split;

/// One parquet file of `trials/`, in the order a run writes them. Each of its rows has a file in `items/`: were those one
/// file too, every trial would write the items of all before it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Rows of one generation on the search split, all rungs of its race; baselines are generation 0.
    Generation(u64),
    /// Rows on another split, and finalists scored again.
    Final(Split),
}

impl Part {
    /// Where the row of `trial` belongs.
    pub(super) fn of(trial: &Trial) -> Part {
        let last = matches!(trial.kind, TrialKind::Final | TrialKind::Front);
        if last || trial.split != Split::Search {
            Part::Final(trial.split)
        } else {
            Part::Generation(trial.generation)
        }
    }

    /// `None` when `path` is not named like a part.
    pub(super) fn from_path(path: &Path) -> Option<Part> {
        let stem = path.file_name()?.to_str()?.strip_suffix(".parquet")?;
        if let Some(number) = stem.strip_prefix("generation-") {
            return number.parse().ok().map(Part::Generation);
        }
        stem.strip_prefix("final-")?.parse().ok().map(Part::Final)
    }

    fn stem(self) -> String {
        match self {
            Part::Generation(number) => format!("generation-{number:05}"),
            Part::Final(split) => format!("final-{split}"),
        }
    }

    pub(super) fn trials(self, run: &Path) -> PathBuf {
        run.join(TRIALS).join(format!("{}.parquet", self.stem()))
    }

    /// The items of the row numbered `row` (from 0) of this part.
    pub(super) fn items(self, run: &Path, row: usize) -> PathBuf {
        run.join(ITEMS).join(format!("{}-{row:05}.parquet", self.stem()))
    }
}

pub(super) const TRIALS: &str = "trials";
pub(super) const ITEMS: &str = "items";
