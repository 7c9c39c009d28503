//! What earlier sessions of a run have recorded.
//!
//! A replay decides from every document's outcome, and a day's run has more candidates than memory has room for their
//! documents: the rows' identities are held, and trials are read from the folder part by part as the replay comes to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::record::{Part, RecordError, RecordedRow, RunFolder, Trial, TrialKind};
use crate::units::{Seconds, Split};

/// A row's identity within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub trial: u64,
    pub split: Split,
    pub kind: TrialKind,
    pub rung: u32,
}

/// The rows of a part that was read.
type Trials = Arc<BTreeMap<Key, Trial>>;

pub(super) struct Past {
    folder: RunFolder,
    rows: BTreeMap<Key, Part>,
    /// The part that was asked for last.
    read: Mutex<Option<(Part, Trials)>>,
    /// Time used by the last trial.
    pub elapsed: Seconds,
    /// The last generation that has a candidate.
    pub last_generation: u64,
}

impl Past {
    pub fn of(folder: RunFolder) -> Result<Past, RecordError> {
        let rows = folder.rows()?;
        let candidates = rows.iter().filter(|row| row.kind == TrialKind::Candidate);
        let last_generation = candidates.map(|row| row.generation).max().unwrap_or(0);
        let elapsed = Seconds(rows.iter().fold(0.0, |last, row| row.elapsed.0.max(last)));
        let key = |row: &RecordedRow| Key {
            trial: row.trial,
            split: row.split,
            kind: row.kind,
            rung: row.rung,
        };
        let rows = rows.iter().map(|row| (key(row), row.part)).collect();
        Ok(Past { folder, rows, read: Mutex::new(None), elapsed, last_generation })
    }

    pub fn has(&self, key: &Key) -> bool {
        self.rows.contains_key(key)
    }

    /// Whether the winner was being chosen already.
    pub fn has_finals(&self) -> bool {
        self.rows.keys().any(|key| key.kind == TrialKind::Final)
    }

    /// The recorded trial, if there is one.
    pub fn trial(&self, key: &Key) -> Result<Option<Trial>, RecordError> {
        let Some(part) = self.rows.get(key) else { return Ok(None) };
        Ok(self.part(*part)?.get(key).cloned())
    }

    /// Read once, others wait.
    fn part(&self, part: Part) -> Result<Trials, RecordError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, trials)) = &*read
            && *known == part
        {
            return Ok(Arc::clone(trials));
        }
        let trials = self.folder.part(part)?.into_iter().map(|trial| (Key::of(&trial), trial));
        let trials: Trials = Arc::new(trials.collect());
        *read = Some((part, Arc::clone(&trials)));
        Ok(trials)
    }
}

impl Key {
    fn of(trial: &Trial) -> Key {
        Key { trial: trial.trial, split: trial.split, kind: trial.kind, rung: trial.rung }
    }
}
