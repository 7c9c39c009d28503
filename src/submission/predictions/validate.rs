//! Whether a file of predictions answers what was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use super::{AskedRow, DUMMY, PredictionError, Problem, WrittenRow, read};

/// What is wrong with a file of predictions for these rows; nothing where it is as the competition wants it.
///
/// # Errors
/// The file cannot be read, or is no CSV file.
pub fn validate(asked: &[AskedRow], path: &Path) -> Result<Vec<Problem>, PredictionError> {
    match read(path) {
        Ok(rows) => Ok(problems(asked, &rows)),
        Err(PredictionError::Header { found, .. }) => Ok(vec![Problem::Header { found }]),
        Err(PredictionError::Empty { .. }) => Ok(vec![Problem::Header { found: Vec::new() }]),
        Err(PredictionError::Fields { line, found, .. }) => {
            Ok(vec![Problem::Fields { line, found }])
        }
        Err(error) => Err(error),
    }
}

/// The same in words that begin with the file's name; a file that cannot be read is one fault.
pub fn faults(asked: &[AskedRow], path: &Path) -> Vec<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match validate(asked, path) {
        Ok(problems) => problems.iter().map(|problem| format!("{name}: {problem}")).collect(),
        Err(error) => {
            let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            vec![format!("{name}: cannot be read: {cause}")]
        }
    }
}

/// In the order of the file, what is missing last.
fn problems(asked: &[AskedRow], rows: &[WrittenRow]) -> Vec<Problem> {
    let by_id: BTreeMap<&str, &AskedRow> = asked.iter().map(|row| (row.id.as_str(), row)).collect();
    let mut problems = Vec::new();
    if rows.len() != asked.len() {
        problems.push(Problem::Rows { found: rows.len(), asked: asked.len() });
    }
    let mut seen = BTreeSet::new();
    for row in rows {
        let (line, id) = (row.line, row.id.clone());
        match by_id.get(row.id.as_str()) {
            None => problems.push(Problem::Unknown { line, id }),
            Some(_) if !seen.insert(row.id.as_str()) => problems.push(Problem::Twice { line, id }),
            Some(asked) => problems.extend(wrong_answer(asked, row)),
        }
        problems.extend(wrong_dummy(row));
    }
    problems.extend(wrong_order(asked, rows));
    let missing = asked.iter().filter(|row| !seen.contains(row.id.as_str()));
    problems.extend(missing.map(|row| Problem::Missing { id: row.id.clone() }));
    problems
}

/// Any text is a text.
fn wrong_answer(asked: &AskedRow, row: &WrittenRow) -> Option<Problem> {
    let (line, id, choices) = (row.line, row.id.clone(), asked.choices);
    let digits = !row.prediction.is_empty() && row.prediction.bytes().all(|c| c.is_ascii_digit());
    match row.prediction.parse::<usize>() {
        _ if choices == 0 => None,
        Ok(index) if digits && index < choices => None,
        Ok(index) if digits => Some(Problem::Range { line, id, index, choices }),
        _ => Some(Problem::NoIndex { line, id, prediction: row.prediction.clone(), choices }),
    }
}

fn wrong_dummy(row: &WrittenRow) -> Option<Problem> {
    let (line, id, found) = (row.line, row.id.clone(), row.dummy_field.clone());
    (row.dummy_field != DUMMY).then_some(Problem::Dummy { line, id, found })
}

/// Of rows that are all there: where others are too, or are missing, the order says nothing more.
fn wrong_order(asked: &[AskedRow], rows: &[WrittenRow]) -> Option<Problem> {
    let ids = |row: &WrittenRow| row.id.clone();
    let (ours, theirs): (BTreeSet<&str>, BTreeSet<&str>) = (
        asked.iter().map(|row| row.id.as_str()).collect(),
        rows.iter().map(|row| row.id.as_str()).collect(),
    );
    if asked.len() != rows.len() || ours != theirs {
        return None;
    }
    let (asked, row) = asked.iter().zip(rows).find(|(asked, row)| asked.id != row.id)?;
    Some(Problem::Order { line: row.line, id: ids(row), asked: asked.id.clone() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::task::Place;

    /// A text, two choices, four choices.
    fn asked() -> Vec<AskedRow> {
        let place = |line| Place { file: Path::new("test.csv").into(), line };
        let row = |id: &str, choices, line| AskedRow {
            id: id.to_owned(),
            choices,
            task: 0,
            doc: 0,
            place: place(line),
        };
        vec![row("0", 0, 2), row("1", 2, 3), row("2", 4, 4)]
    }

    fn said(rows: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        fs::write(&path, rows).unwrap();
        let problems = validate(&asked(), &path).unwrap();
        problems.iter().map(Problem::to_string).collect()
    }

    fn of_rows(rows: &str) -> Vec<String> {
        said(&format!("id,prediction,dummy_field\n{rows}"))
    }

    #[test]
    fn what_answers_every_row_in_order_has_no_problems() {
        assert_eq!(of_rows("0,\"a, \"\"b\"\"\nc\",0\n1,1,0\n2,0,0\n"), [""; 0]);
        assert_eq!(of_rows("0,,0\n1,0,0\n2,3,0\n"), [""; 0]);
    }

    #[test]
    fn every_problem_is_named_with_its_place() {
        let header = "id,prediction,dummy_field";
        assert_eq!(
            said("id,prediction\n"),
            [format!("the header is id,prediction; expected {header}")]
        );
        assert_eq!(said(""), [format!("the header is ; expected {header}")]);
        assert_eq!(of_rows("0,x\n"), [format!("line 2: 2 fields; expected {header}")]);
        assert_eq!(
            of_rows("0,\"x\ny\",0\n1,2,0\n2,-1,0\n"),
            [
                "line 4: id \"1\": the index 2; expected one below 2, the number of choices",
                "line 5: id \"2\": the prediction is \"-1\"; expected the index of one of the 4 choices",
            ]
        );
        assert_eq!(
            of_rows("0,x,1\n1,1.0,0\n2,+1,0\n"),
            [
                "line 2: id \"0\": dummy_field is \"1\"; expected 0",
                "line 3: id \"1\": the prediction is \"1.0\"; expected the index of one of the 2 choices",
                "line 4: id \"2\": the prediction is \"+1\"; expected the index of one of the 4 choices",
            ]
        );
    }

    #[test]
    fn rows_are_those_asked_each_once_and_in_order() {
        assert_eq!(
            of_rows("1,1,0\n0,x,0\n2,0,0\n"),
            ["line 2: the id \"1\"; expected \"0\", as the rows must keep the data's order"]
        );
        assert_eq!(
            of_rows("0,x,0\n2,0,0\n"),
            ["2 rows; expected 3", "no prediction for the id \"1\""]
        );
        assert_eq!(
            of_rows("0,x,0\n1,1,0\n1,1,0\n"),
            ["line 4: the id \"1\" is there already", "no prediction for the id \"2\""]
        );
        assert_eq!(
            of_rows("0,x,0\n1,1,0\n9,1,0\n2,1,0\n"),
            ["4 rows; expected 3", "line 4: the id \"9\" is not in the data"]
        );
    }
    #[test]
    fn faults_have_the_name_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        assert_eq!(
            faults(&asked(), &path),
            ["p.csv: cannot be read: No such file or directory (os error 2)"]
        );
        fs::write(&path, "id,prediction,dummy_field\n0,x,0\n1,1,0\n2,5,0\n").unwrap();
        let of_range = "line 4: id \"2\": the index 5; expected one below 4, the number of choices";
        assert_eq!(faults(&asked(), &path), [format!("p.csv: {of_range}")]);
    }
}
