//! Reading a run, finished or not.

use std::path::{Path, PathBuf};

use super::atomic::{entries, io_error, is_temporary};
use super::front::{FrontRow, TrialTiming, read_front, read_timings};
use super::part::{Part, TRIALS};
use super::rows::{RecordedRow, read_part, read_rows};
use super::table::Table;
use super::{RecordError, RunManifest, Trial};

/// A run on disk. Reading takes no lock: every file is whole at every moment.
#[derive(Debug, Clone)]
pub struct RunFolder {
    pub(super) path: PathBuf,
    pub(super) manifest: RunManifest,
}

pub(super) const FRONT: &str = "front.parquet";
pub(super) const TIMINGS: &str = "timings.parquet";

impl RunFolder {
    /// Reads the manifest of the run in `path`.
    ///
    /// # Errors
    /// When there is no manifest, or one of another schema version.
    pub fn open(path: &Path) -> Result<RunFolder, RecordError> {
        Ok(RunFolder { path: path.to_owned(), manifest: RunManifest::read(path)? })
    }

    /// How the run was made.
    pub fn manifest(&self) -> &RunManifest {
        &self.manifest
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every finished trial with its documents' outcomes: generation by generation, then the final ones by split; within
    /// these by number and rung.
    ///
    /// # Errors
    /// When a part is truncated, of another schema version, or without its items; the error names the file.
    pub fn trials(&self) -> Result<Vec<Trial>, RecordError> {
        let mut trials = Vec::new();
        self.visit(|trial| trials.push(trial))?;
        Ok(trials)
    }

    /// Hands over every finished trial in the order of [`RunFolder::trials`], with no more than one part in memory.
    ///
    /// # Errors
    /// As [`RunFolder::trials`].
    pub fn visit(&self, mut take: impl FnMut(Trial)) -> Result<(), RecordError> {
        for part in self.parts()? {
            let mut rows = self.part(part)?;
            rows.sort_by_key(|trial| (trial.trial, trial.rung));
            rows.into_iter().for_each(&mut take);
        }
        Ok(())
    }

    /// Every finished trial in the order of the files, without what was measured: no items are read.
    ///
    /// # Errors
    /// When a part is truncated or of another schema version.
    pub fn rows(&self) -> Result<Vec<RecordedRow>, RecordError> {
        let of_part = |part| read_rows(part, &self.path);
        Ok(self.parts()?.into_iter().map(of_part).collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// A text file of the run, if it has been written.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn text(&self, file_name: &str) -> Result<Option<String>, RecordError> {
        let path = self.path.join(file_name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// The Pareto front and the baselines as last written, by ascending time; empty before the first.
    ///
    /// # Errors
    /// As [`RunFolder::trials`].
    pub fn front(&self) -> Result<Vec<FrontRow>, RecordError> {
        let path = self.path.join(FRONT);
        if path.exists() { read_front(&Table::read(&path)?) } else { Ok(Vec::new()) }
    }

    /// What was measured of the front's candidates and the baselines, once it has been.
    ///
    /// # Errors
    /// As [`RunFolder::trials`].
    pub fn timings(&self) -> Result<Option<Vec<TrialTiming>>, RecordError> {
        let path = self.path.join(TIMINGS);
        if path.exists() { read_timings(&Table::read(&path)?).map(Some) } else { Ok(None) }
    }

    fn parts(&self) -> Result<Vec<Part>, RecordError> {
        let mut parts = (entries(&self.path.join(TRIALS))?.into_iter())
            .filter(|path| !is_temporary(path))
            .map(|path| Part::from_path(&path).ok_or(RecordError::UnknownPart { path }))
            .collect::<Result<Vec<Part>, _>>()?;
        parts.sort();
        Ok(parts)
    }

    /// The finished trials of one part with their documents' outcomes, in the order they were finished.
    ///
    /// # Errors
    /// As [`RunFolder::trials`].
    pub fn part(&self, part: Part) -> Result<Vec<Trial>, RecordError> {
        read_part(part, &self.path, &self.manifest)
    }

    pub(super) fn has(&self, part: Part) -> bool {
        part.trials(&self.path).exists()
    }
}
