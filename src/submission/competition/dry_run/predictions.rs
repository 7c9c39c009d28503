//! Whether what the kit wrote is what it has to write.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use serde_json::Value;

use super::{KitRow, KitRows};

/// The columns of a prediction file.
const HEADER: [&str; 3] = ["id", "prediction", "dummy_field"];

/// What is wrong with the predictions for `rows` in the CSV file at `path`; nothing where all is right.
pub fn check_csv(rows: &KitRows, path: &Path) -> Vec<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let records = match records(path) {
        Ok(records) => records,
        Err(problem) => return vec![format!("{name}: {problem}")],
    };
    let mut problems = Vec::new();
    let (expected, found) = (rows.rows.len(), records.len());
    if expected != found {
        problems.push(format!("{name}: {found} predictions for {expected} rows"));
    }
    for (number, (row, record)) in rows.rows.iter().zip(&records).enumerate() {
        let problem = problem(row, record);
        problems.extend(problem.map(|problem| format!("{name}, row {}: {problem}", number + 1)));
    }
    problems
}

fn records(path: &Path) -> Result<Vec<StringRecord>, String> {
    let unreadable = |error: csv::Error| format!("cannot be read: {error}");
    let mut reader = ReaderBuilder::new().from_path(path).map_err(unreadable)?;
    let header = reader.headers().map_err(unreadable)?;
    if !header.iter().eq(HEADER) {
        let found: Vec<&str> = header.iter().collect();
        return Err(format!("the header is {}; it must be {}", found.join(","), HEADER.join(",")));
    }
    reader.records().collect::<Result<_, _>>().map_err(unreadable)
}

fn problem(row: &KitRow, record: &StringRecord) -> Option<String> {
    let field = |column: usize| record.get(column).unwrap_or_default();
    let (id, prediction, dummy) = (field(0), field(1), field(2));
    if id != row.id {
        return Some(format!("id {id} stands where {} belongs", row.id));
    }
    if dummy != "0" {
        return Some(format!("dummy_field is {dummy:?}; it must be 0"));
    }
    row.choices.as_ref().and_then(|choices| problem_of_choice(prediction, choices.len()))
}

fn problem_of_choice(prediction: &str, choices: usize) -> Option<String> {
    let index = prediction.parse::<usize>().ok();
    match index.is_some_and(|index| index < choices) {
        true => None,
        false => Some(format!("prediction {prediction:?} is no index of the {choices} choices")),
    }
}

/// The same for JSON lines of the kit's generation of entry points, one object with its `prediction` for each row.
pub fn check_json_lines(rows: &KitRows, path: &Path) -> Vec<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return vec![format!("{name}: cannot be read: {error}")],
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut problems = Vec::new();
    if lines.len() != rows.rows.len() {
        let (found, expected) = (lines.len(), rows.rows.len());
        problems.push(format!("{name}: {found} predictions for {expected} rows"));
    }
    for (number, (row, line)) in rows.rows.iter().zip(lines).enumerate() {
        let problem = problem_of_line(row, line);
        problems.extend(problem.map(|problem| format!("{name}, line {}: {problem}", number + 1)));
    }
    problems
}

fn problem_of_line(row: &KitRow, line: &str) -> Option<String> {
    let Ok(object) = serde_json::from_str::<Value>(line) else {
        return Some("not a JSON object".to_owned());
    };
    let Some(prediction) = object.get("prediction") else {
        return Some("there is no `prediction`".to_owned());
    };
    let said = prediction.as_str().map_or_else(|| prediction.to_string(), str::to_owned);
    row.choices.as_ref().and_then(|choices| problem_of_choice(&said, choices.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str =
        "id,input,eval_type,answer_choices\n7,q,multiple_choice,\"['x', 'y']\"\n9,r,generation,\n";

    fn problems(csv: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("rows.csv"), ROWS).unwrap();
        std::fs::write(path("out.csv"), csv).unwrap();
        check_csv(&KitRows::read(&path("rows.csv")).unwrap(), &path("out.csv"))
    }

    #[test]
    fn each_fault_of_a_prediction_file_is_named() {
        let right = "id,prediction,dummy_field\n7,1,0\n9,\"any, text\n\",0\n";
        assert_eq!(problems(right), [""; 0]);
        for (wrong, word) in [
            (right.replace("dummy_field", "dummy"), "header is id,prediction,dummy"),
            (right.replace("7,1", "7,2"), "no index of the 2 choices"),
            (right.replace("7,1", "7,x"), "no index of the 2 choices"),
            (right.replace("\n7,", "\n8,"), "id 8 stands where 7 belongs"),
            (right.replace(",0\n9", ",5\n9"), "dummy_field is \"5\""),
            ("id,prediction,dummy_field\n7,1,0\n".to_owned(), "1 predictions for 2 rows"),
        ] {
            let problems = problems(&wrong);
            assert!(problems.len() == 1 && problems[0].contains(word), "{problems:?}");
        }
    }
}
