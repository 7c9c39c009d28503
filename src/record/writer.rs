//! Writing a run: one process at a time, whole files only.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::atomic::{entries, io_error, is_temporary, remove_temporaries, replace};
use super::columns::trial_columns;
use super::folder::{FRONT, RunFolder, TIMINGS};
use super::front::{FrontRow, TrialTiming, front_columns, timing_columns};
use super::items::item_columns;
use super::part::{ITEMS, Part, TRIALS};
use super::table::write_table;
use super::{RecordError, RunManifest, Trial};

const LOCK: &str = "run.lock";

/// The one writer of a run. The lock goes with it, also when the process is killed.
#[derive(Debug)]
pub struct RunWriter {
    folder: RunFolder,
    open: Option<(Part, Vec<Trial>)>,
    _lock: File,
}

impl RunWriter {
    /// Begins a run in `path`, which is made if it is not there.
    ///
    /// # Errors
    /// When the folder has something in it, another process writes there, or the file system refuses.
    pub fn create(path: &Path, manifest: RunManifest) -> Result<RunWriter, RecordError> {
        fs::create_dir_all(path).map_err(io_error("create", path))?;
        check_empty(path)?;
        let lock = lock(path)?;
        check_empty(path)?;
        for name in [TRIALS, ITEMS] {
            let folder = path.join(name);
            fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        }
        // Last: without it the folder is not a run, and may be created again.
        manifest.write(path)?;
        Ok(RunWriter {
            folder: RunFolder { path: path.to_owned(), manifest },
            open: None,
            _lock: lock,
        })
    }

    /// Goes on with the run in `path`, and removes what a killed writer left half written.
    ///
    /// # Errors
    /// When there is no run of this schema version, or another process writes it.
    pub fn resume(path: &Path) -> Result<RunWriter, RecordError> {
        let folder = RunFolder::open(path)?;
        let lock = lock(path)?;
        for folder in [path, &path.join(TRIALS), &path.join(ITEMS)] {
            remove_temporaries(folder)?;
        }
        Ok(RunWriter { folder, open: None, _lock: lock })
    }

    /// What is on disk so far.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Puts a finished trial on disk: when this returns, a power cut does not lose it.
    ///
    /// # Errors
    /// When the trial has other tasks or genes than the manifest, or the file system refuses; then nothing is added.
    pub fn append(&mut self, trial: &Trial) -> Result<(), RecordError> {
        let part = Part::of(trial);
        let mut trials = match self.open.take() {
            Some((open, trials)) if open == part => trials,
            _ if self.folder.has(part) => self.folder.part(part)?,
            _ => Vec::new(),
        };
        let items = part.items(&self.folder.path, trials.len());
        trials.push(trial.clone());
        let written = self.write(part, &trials, &items);
        if written.is_err() {
            trials.pop();
        }
        self.open = Some((part, trials));
        written
    }

    fn write(&self, part: Part, trials: &[Trial], items: &Path) -> Result<(), RecordError> {
        let all: Vec<&Trial> = trials.iter().collect();
        let columns = trial_columns(&all, &self.folder.manifest)?;
        if let Some(last) = trials.last() {
            write_table(items, item_columns(last))?;
        }
        write_table(&part.trials(&self.folder.path), columns)
    }

    /// Writes `front.parquet`.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write_front(&self, front: &[FrontRow]) -> Result<(), RecordError> {
        write_table(&self.folder.path.join(FRONT), front_columns(front))
    }

    /// Writes `timings.parquet`, once: a measurement comes out otherwise each time, and the run is decided by it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write_timings(&self, timings: &[TrialTiming]) -> Result<(), RecordError> {
        write_table(&self.folder.path.join(TIMINGS), timing_columns(timings))
    }

    /// Writes a text file of the run, such as `best.yaml`.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write_text(&self, file_name: &str, text: &str) -> Result<(), RecordError> {
        replace(&self.folder.path.join(file_name), text.as_bytes())
    }
}

/// Apart from what a process that died before the manifest leaves there.
fn check_empty(path: &Path) -> Result<(), RecordError> {
    let unfinished = |entry: &Path| {
        is_temporary(entry)
            || entry.ends_with(LOCK)
            || ((entry.ends_with(TRIALS) || entry.ends_with(ITEMS))
                && entries(entry).is_ok_and(|inside| inside.is_empty()))
    };
    if entries(path)?.iter().all(|entry| unfinished(entry)) {
        return Ok(());
    }
    Err(RecordError::NotEmpty { path: path.to_owned() })
}

fn lock(run: &Path) -> Result<File, RecordError> {
    let path = run.join(LOCK);
    let file = File::create(&path).map_err(io_error("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RecordError::Locked { path: run.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io_error("lock", &path)(error)),
    }
}
