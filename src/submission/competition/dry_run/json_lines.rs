//! Whether the kit's generation of entry points wrote what it has to write.

use std::path::Path;

use serde_json::Value;

use super::{KitRow, KitRows};

/// What is wrong with the predictions for `rows` in the file at `path`, one JSON object with its `prediction` on each line;
/// nothing where all is right.
pub fn check_json_lines(rows: &KitRows, path: &Path) -> Vec<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return vec![format!("{name}: cannot be read: {error}")],
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut problems = Vec::new();
    if lines.len() != rows.rows.len() {
        let (found, expected) = (lines.len(), rows.rows.len());
        problems.push(format!("{name}: {found} predictions; expected {expected}"));
    }
    for (number, (row, line)) in rows.rows.iter().zip(lines).enumerate() {
        let problem = problem(row, line);
        problems.extend(problem.map(|problem| format!("{name}: line {}: {problem}", number + 1)));
    }
    problems
}

fn problem(row: &KitRow, line: &str) -> Option<String> {
    let Ok(object) = serde_json::from_str::<Value>(line) else {
        return Some("not a JSON object".to_owned());
    };
    let Some(prediction) = object.get("prediction") else {
        return Some("there is no `prediction`".to_owned());
    };
    let said = prediction.as_str().map_or_else(|| prediction.to_string(), str::to_owned);
    let choices = row.choices.as_ref()?.len();
    let is_index = said.parse::<usize>().is_ok_and(|index| index < choices);
    (!is_index).then(|| {
        format!("the prediction is {said:?}; expected the index of one of the {choices} choices")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str =
        "id,input,eval_type,answer_choices\n7,q,multiple_choice,\"['x', 'y']\"\n9,r,generation,\n";

    fn problems(lines: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("rows.csv"), ROWS).unwrap();
        std::fs::write(path("out.jsonl"), lines).unwrap();
        check_json_lines(&KitRows::read(&path("rows.csv")).unwrap(), &path("out.jsonl"))
    }

    #[test]
    fn each_fault_of_the_lines_is_named() {
        let right = "{\"prediction\": 1}\n{\"prediction\": \"any text\"}\n";
        assert_eq!(problems(right), [""; 0]);
        assert_eq!(problems(&right.replace(": 1", ": \"1\"")), [""; 0]);
        let no_index = |said: &str| {
            format!(
                "out.jsonl: line 1: the prediction is {said:?}; expected the index of one of the 2 choices"
            )
        };
        assert_eq!(problems(&right.replace(": 1", ": 2")), [no_index("2")]);
        assert_eq!(problems(&right.replace(": 1", ": [1]")), [no_index("[1]")]);
        assert_eq!(
            problems(&right.replace("\"prediction\": \"any", "\"text\": \"any")),
            ["out.jsonl: line 2: there is no `prediction`"]
        );
        assert_eq!(
            problems("{\"prediction\": 1}\nx\n\n{}\n"),
            ["out.jsonl: 3 predictions; expected 2", "out.jsonl: line 2: not a JSON object"]
        );
    }
}
