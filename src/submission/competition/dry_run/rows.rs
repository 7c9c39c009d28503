//! Rows of the kit's CSV files, as they are.

use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Writer};
use serde_json::{Value, json};

use super::RowCounts;
use crate::task::literal;

/// Why rows cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The file cannot be read as CSV.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: csv::Error,
    },
    /// A column is missing.
    #[error("{} has no column `{column}`; the kit's files have id, input, eval_type and answer_choices", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// Neither choices nor a text.
    #[error("{}, row {row}: eval_type is {found:?}; valid: multiple_choice, generation", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// Counted from 1, the header left out.
        row: usize,
        /// What stands there.
        found: String,
    },
    /// Choices that are none.
    #[error("{}, row {row}: answer_choices is {found:?}; valid: a Python list of texts", path.display())]
    Choices {
        /// The file.
        path: PathBuf,
        /// Counted from 1, the header left out.
        row: usize,
        /// What stands there.
        found: String,
    },
    /// Nothing but a header.
    #[error("{} has no rows", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KitRow {
    /// As written.
    pub id: String,
    /// Of the row.
    pub input: String,
    /// Of a row that asks for one of several answers; `None`: a text is asked for.
    pub choices: Option<Vec<String>>,
    record: StringRecord,
}

/// Some rows of one file, in its order.
#[derive(Debug, Clone)]
pub struct KitRows {
    header: StringRecord,
    /// Never empty.
    pub rows: Vec<KitRow>,
}

impl KitRows {
    /// All rows of a file.
    ///
    /// # Errors
    /// See [`RowsError`].
    pub fn read(path: &Path) -> Result<KitRows, RowsError> {
        let unreadable = |source| RowsError::Read { path: path.to_owned(), source };
        let mut reader = ReaderBuilder::new().from_path(path).map_err(unreadable)?;
        let header = reader.headers().map_err(unreadable)?.clone();
        let columns = Columns::find(&header, path)?;
        let mut rows = Vec::new();
        for record in reader.records() {
            rows.push(columns.row(record.map_err(unreadable)?, rows.len() + 1, path)?);
        }
        match rows.is_empty() {
            true => Err(RowsError::Empty { path: path.to_owned() }),
            false => Ok(KitRows { header, rows }),
        }
    }

    /// `count` rows at most, half of them of each kind where the file has so many, spread evenly over the file.
    pub fn sample(&self, count: usize) -> KitRows {
        let (choices, texts): (Vec<usize>, Vec<usize>) = (0..self.rows.len())
            .partition(|&row| self.rows.get(row).is_some_and(|row| row.choices.is_some()));
        let of_texts = (count / 2).min(texts.len()).max(count.saturating_sub(choices.len()));
        let of_choices = count.saturating_sub(of_texts);
        let mut chosen = [spread(&choices, of_choices), spread(&texts, of_texts)].concat();
        chosen.sort_unstable();
        let rows = chosen.iter().filter_map(|&row| self.rows.get(row)).cloned().collect();
        KitRows { header: self.header.clone(), rows }
    }

    /// How many there are of each kind.
    pub fn counts(&self) -> RowCounts {
        let multiple_choice = self.rows.iter().filter(|row| row.choices.is_some()).count();
        RowCounts { multiple_choice, generation: self.rows.len() - multiple_choice }
    }

    /// The rows of one kind.
    pub fn of_kind(&self, choices: bool) -> KitRows {
        let rows = self.rows.iter().filter(|row| row.choices.is_some() == choices);
        KitRows { header: self.header.clone(), rows: rows.cloned().collect() }
    }

    /// As a CSV file with the columns of the file they are from.
    ///
    /// # Errors
    /// The disk.
    pub fn write_csv(&self, path: &Path) -> Result<(), csv::Error> {
        let mut writer = Writer::from_path(path)?;
        writer.write_record(&self.header)?;
        self.rows.iter().try_for_each(|row| writer.write_record(&row.record))?;
        Ok(writer.flush()?)
    }

    /// As the JSON lines of the kit's generation of entry points, which has no rows without a target.
    pub fn json_lines(&self) -> String {
        let line = |row: &KitRow| {
            let choices: Value = row.choices.clone().unwrap_or_default().into();
            json!({"input": row.input, "target": "", "answer_choices": choices, "label": 0})
        };
        self.rows.iter().map(|row| format!("{}\n", line(row))).collect()
    }
}

/// `count` of the numbers, at equal distances.
fn spread(all: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(all.len());
    (0..count).filter_map(|i| all.get(i * all.len() / count).copied()).collect()
}

/// Where the columns are.
struct Columns {
    id: usize,
    input: usize,
    kind: usize,
    choices: Option<usize>,
}

impl Columns {
    fn find(header: &StringRecord, path: &Path) -> Result<Columns, RowsError> {
        let find = |column: &'static str| header.iter().position(|name| name == column);
        let needed = |column: &'static str| {
            find(column).ok_or_else(|| RowsError::Column { path: path.to_owned(), column })
        };
        let (id, input, kind) = (needed("id")?, needed("input")?, needed("eval_type")?);
        Ok(Columns { id, input, kind, choices: find("answer_choices") })
    }

    fn row(&self, record: StringRecord, row: usize, path: &Path) -> Result<KitRow, RowsError> {
        let field = |column: usize| record.get(column).unwrap_or_default().to_owned();
        let choices = match record.get(self.kind) {
            Some("generation") => None,
            Some("multiple_choice") => {
                let found = self.choices.map(field).unwrap_or_default();
                let wrong = RowsError::Choices { path: path.to_owned(), row, found: found.clone() };
                Some(texts(&found).ok_or(wrong)?)
            }
            other => {
                let found = other.unwrap_or_default().to_owned();
                return Err(RowsError::Kind { path: path.to_owned(), row, found });
            }
        };
        Ok(KitRow { id: field(self.id), input: field(self.input), choices, record })
    }
}

/// Numbers are taken as their text, as the class does.
fn texts(list: &str) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    literal::parse(list).ok()?.as_array()?.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "id,input,eval_type,answer_choices\n\
                        0,\"a, \"\"b\"\"\nc\",generation,\n\
                        1,q,multiple_choice,\"['x', \"\"y's\"\"]\"\n\
                        2,r,generation,\n3,s,generation,\n4,t,multiple_choice,['x']\n";

    fn rows(text: &str) -> Result<KitRows, RowsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, text).unwrap();
        KitRows::read(&path)
    }

    fn ids(rows: &KitRows) -> Vec<&str> {
        rows.rows.iter().map(|row| row.id.as_str()).collect()
    }

    #[test]
    fn a_sample_has_both_kinds_in_the_files_order() {
        let all = rows(FILE).unwrap();
        assert_eq!(all.counts(), RowCounts { multiple_choice: 2, generation: 3 });
        assert_eq!(ids(&all.sample(2)), ["0", "1"]);
        assert_eq!(ids(&all.sample(4)), ["0", "1", "2", "4"]);
        // Too few of one kind: the other fills up.
        assert_eq!(ids(&all.sample(5)).len(), 5);
        assert_eq!(ids(&all.sample(100)).len(), 5);
        assert_eq!(ids(&all.sample(1)).len(), 1);
        assert_eq!(ids(&all.of_kind(false).sample(2)), ["0", "2"]);
    }

    #[test]
    fn written_rows_are_those_that_were_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("again.csv");
        let all = rows(FILE).unwrap();
        assert_eq!(all.rows[0].input, "a, \"b\"\nc");
        assert_eq!(all.rows[1].choices.as_deref().unwrap(), ["x", "y's"]);
        all.write_csv(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), FILE);
        let lines = all.json_lines();
        let second: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!(second["answer_choices"], json!(["x", "y's"]));
    }

    #[test]
    fn numbers_among_choices_are_texts() {
        assert_eq!(texts("[1, 2.5, 'x']").unwrap(), ["1", "2.5", "x"]);
        assert_eq!(texts("[None]"), None);
        assert_eq!(texts("[['x']]"), None);
    }

    #[test]
    fn what_is_no_file_of_the_kits_is_named() {
        for (text, word) in [
            ("id,input\n1,a\n", "eval_type"),
            ("id,input,eval_type,answer_choices\n", "no rows"),
            ("id,input,eval_type,answer_choices\n1,a,essay,\n", "essay"),
            ("id,input,eval_type,answer_choices\n1,a,multiple_choice,x\n", "Python list"),
        ] {
            let error = rows(text).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("rows.csv"), "{error}");
        }
    }
}
