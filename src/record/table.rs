//! A parquet file as a table: written whole with its schema version, read with errors that name the file.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use polars::prelude::*;

use super::atomic::{io_error, replace};
use super::seal::{SEAL_KEY, is_whole, seal, unsealed};
use super::{RecordError, SCHEMA_VERSION};

const VERSION_KEY: &str = "merge-search.schema_version";
const WRITER_KEY: &str = "merge-search.written_by";

/// Writes `columns` (all of one length) to `path`, replacing it in one step.
pub(super) fn write_table(path: &Path, columns: Vec<Column>) -> Result<(), RecordError> {
    let mut encoded = Vec::new();
    DataFrame::new_infer_height(columns)
        .and_then(|mut frame| encode(&mut frame, &mut encoded))
        .map_err(parquet_error(path))?;
    seal(&mut encoded);
    replace(path, &encoded)
}

fn encode(frame: &mut DataFrame, encoded: &mut Vec<u8>) -> PolarsResult<u64> {
    let version = KeyValueMetadata::from_static(vec![
        (VERSION_KEY.to_owned(), SCHEMA_VERSION.to_string()),
        (WRITER_KEY.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        (SEAL_KEY.to_owned(), unsealed()),
    ]);
    ParquetWriter::new(encoded)
        .with_key_value_metadata(Some(version))
        .set_parallel(false)
        .finish(frame)
}

fn parquet_error(path: &Path) -> impl FnOnce(PolarsError) -> RecordError {
    let path = path.to_owned();
    move |source| RecordError::Parquet { path, source }
}

/// The content of a parquet file of this schema version.
pub(super) struct Table {
    pub(super) path: PathBuf,
    frame: DataFrame,
}

impl Table {
    pub(super) fn read(path: &Path) -> Result<Table, RecordError> {
        let file = fs::read(path).map_err(io_error("read", path))?;
        if !is_whole(file.clone()) {
            return Err(RecordError::Damaged { path: path.to_owned() });
        }
        let mut reader = ParquetReader::new(Cursor::new(file));
        let metadata = reader.get_metadata().map_err(parquet_error(path))?;
        check_version(metadata, path)?;
        Ok(Table { path: path.to_owned(), frame: reader.finish().map_err(parquet_error(path))? })
    }

    pub(super) fn height(&self) -> usize {
        self.frame.height()
    }

    pub(super) fn u64(&self, name: &str) -> Result<&UInt64Chunked, RecordError> {
        self.typed(name, Column::u64)
    }

    pub(super) fn u32(&self, name: &str) -> Result<&UInt32Chunked, RecordError> {
        self.typed(name, Column::u32)
    }

    pub(super) fn i64(&self, name: &str) -> Result<&Int64Chunked, RecordError> {
        self.typed(name, Column::i64)
    }

    pub(super) fn f64(&self, name: &str) -> Result<&Float64Chunked, RecordError> {
        self.typed(name, Column::f64)
    }

    pub(super) fn f32(&self, name: &str) -> Result<&Float32Chunked, RecordError> {
        self.typed(name, Column::f32)
    }

    pub(super) fn str(&self, name: &str) -> Result<&StringChunked, RecordError> {
        self.typed(name, Column::str)
    }

    pub(super) fn bool(&self, name: &str) -> Result<&BooleanChunked, RecordError> {
        self.typed(name, Column::bool)
    }

    fn typed<'a, T>(
        &'a self,
        name: &str,
        get: impl FnOnce(&'a Column) -> PolarsResult<&'a T>,
    ) -> Result<&'a T, RecordError> {
        (self.frame.column(name))
            .and_then(get)
            .map_err(|_| RecordError::Column { path: self.path.clone(), column: name.to_owned() })
    }

    /// The error for a cell that cannot be what it should.
    pub(super) fn invalid(&self, row: usize, column: &str) -> RecordError {
        RecordError::Cell { path: self.path.clone(), row, column: column.to_owned() }
    }
}

fn check_version(metadata: &FileMetadata, path: &Path) -> Result<(), RecordError> {
    let value = |key: &str| {
        (metadata.key_value_metadata().iter().flatten())
            .find(|entry| entry.key == key)
            .and_then(|entry| entry.value.clone())
            .unwrap_or_else(|| "unknown".to_owned())
    };
    let found = value(VERSION_KEY);
    if found == SCHEMA_VERSION.to_string() {
        return Ok(());
    }
    Err(RecordError::SchemaVersion { path: path.to_owned(), found, written_by: value(WRITER_KEY) })
}
