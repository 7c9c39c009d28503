//! Whether the kit's generation of entry points wrote what it has to write.

use std::path::Path;

use serde_json::Value;

use super::{KitRow, KitRows};

/// Of a row with choices: the index of one of them, a number.
const CHOICE: &str = "predicted_choice";

/// Of a row that asks for a text.
const TEXT: &str = "predicted_text";

/// What is wrong with the predictions for `rows` in the file at `path`, one JSON object with its `predicted_choice` or
/// `predicted_text` on each line (the kit's `evaluate_model.py` until d82d414); nothing where all is right.
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
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(line) else {
        return Some("not a JSON object".to_owned());
    };
    let key = if row.choices.is_some() { CHOICE } else { TEXT };
    let Some(prediction) = object.get(key) else {
        return Some(format!("there is no `{key}`"));
    };
    match &row.choices {
        Some(choices) => problem_of_choice(prediction, choices.len()),
        None => {
            (!prediction.is_string()).then(|| format!("`{TEXT}` is {prediction}; expected a text"))
        }
    }
}

fn problem_of_choice(prediction: &Value, choices: usize) -> Option<String> {
    let is_index = prediction.as_u64().is_some_and(|index| index < choices as u64);
    (!is_index).then(|| {
        format!("`{CHOICE}` is {prediction}; expected the index of one of the {choices} choices")
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
        let right = "{\"predicted_choice\": 1, \"answer_choices_scores\": [-2.5, -1.5]}\n\
                     {\"predicted_ids\": [3], \"predicted_text\": \"any text\"}\n";
        assert_eq!(problems(right), [""; 0]);
        let no_index = |said: &str| {
            format!(
                "out.jsonl: line 1: `predicted_choice` is {said}; expected the index of one of the 2 choices"
            )
        };
        for said in ["2", "[1]", "-1", "\"1\""] {
            assert_eq!(problems(&right.replace(": 1,", &format!(": {said},"))), [no_index(said)]);
        }
        let other = |key: &str| problems(&right.replace(key, "prediction"));
        assert_eq!(
            other("predicted_choice"),
            ["out.jsonl: line 1: there is no `predicted_choice`"]
        );
        assert_eq!(other("predicted_text"), ["out.jsonl: line 2: there is no `predicted_text`"]);
        assert_eq!(
            problems(&right.replace("\"any text\"", "7")),
            ["out.jsonl: line 2: `predicted_text` is 7; expected a text"]
        );
        assert_eq!(
            problems("{\"predicted_choice\": 1}\nx\n\n{}\n"),
            ["out.jsonl: 3 predictions; expected 2", "out.jsonl: line 2: not a JSON object"]
        );
    }
}
