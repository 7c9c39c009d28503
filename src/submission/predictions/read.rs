//! A file of predictions as it stands.

use std::fs;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use super::{HEADER, PredictionError};

/// A row as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenRow {
    /// Where it begins, counted from 1.
    pub line: u64,
    /// Of the row that it answers.
    pub id: String,
    /// An index or a text.
    pub prediction: String,
    /// The column that the competition's platform asks for.
    pub dummy_field: String,
}

/// Reads a file of predictions.
///
/// # Errors
/// No such file, no CSV, another header, or a row with more or fewer fields.
pub fn read(path: &Path) -> Result<Vec<WrittenRow>, PredictionError> {
    let text = fs::read(path).map_err(|source| PredictionError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    // Fields are counted here, and the header is not one of the rows.
    let mut reader =
        ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text.as_slice());
    let mut records = reader.records().map(|record| {
        record.map_err(|source| PredictionError::Csv { path: path.to_owned(), source })
    });
    match records.next().transpose()? {
        None => return Err(PredictionError::Empty { path: path.to_owned() }),
        Some(header) if !header.iter().eq(HEADER) => {
            let found = header.iter().map(str::to_owned).collect();
            return Err(PredictionError::Header { path: path.to_owned(), found });
        }
        Some(_) => {}
    }
    records.map(|record| row(&record?, path)).collect()
}

fn row(record: &StringRecord, path: &Path) -> Result<WrittenRow, PredictionError> {
    let line = record.position().map_or(0, csv::Position::line);
    let fields: Vec<&str> = record.iter().collect();
    match *fields.as_slice() {
        [id, prediction, dummy_field] => {
            let [id, prediction, dummy_field] = [id, prediction, dummy_field].map(str::to_owned);
            Ok(WrittenRow { line, id, prediction, dummy_field })
        }
        _ => Err(PredictionError::Fields { path: path.to_owned(), line, found: fields.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn rows_have_their_lines() {
        let (_folder, path) = file("id,prediction,dummy_field\n4,\"a\n\"\"b\"\"\",0\n5,1,0\n");
        let rows = read(&path).unwrap();
        let own = |row: &WrittenRow| (row.line, row.id.clone(), row.prediction.clone());
        let rows: Vec<_> = rows.iter().map(own).collect();
        let expected = [(2, "4", "a\n\"b\""), (4, "5", "1")];
        assert_eq!(rows, expected.map(|(line, id, text)| (line, id.to_owned(), text.to_owned())));
    }

    #[test]
    fn what_is_no_file_of_predictions_is_refused() {
        let says = |text: &str| {
            let (_folder, path) = file(text);
            read(&path).unwrap_err().to_string()
        };
        assert!(says("").contains("the file is empty"));
        assert!(says("id,pred,dummy_field\n1,2,0\n").contains("the header is id,pred,dummy_field"));
        assert!(says("id,prediction,dummy_field\n1,2\n").contains("p.csv:2: 2 fields"));
        assert!(says("id,prediction,dummy_field\n1,2,0,0\n").contains("p.csv:2: 4 fields"));
        assert!(read(Path::new("/nonexistent")).unwrap_err().to_string().contains("cannot read"));
    }
}
