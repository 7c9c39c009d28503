//! What is wrong with a user's data is named with file and line, whatever it is.

use std::fs;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{Documents, Room, ScoringSet, TaskTokenizer, load_network};
use merge_search::model::Precision;
use merge_search::task::{Task, TaskWarning};
use merge_search::units::{Bytes, Split};
use tempfile::TempDir;
use tokenizers::Tokenizer;

/// A task of `rows` in the format `json` or `csv`.
fn folder(format: &str, rows: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let definition = format!(
        "task = \"capitals\"\ndataset_path = \"{format}\"\nvalidation_split = \"dev\"\noutput_type = \"multiple_choice\"\n\
         doc_to_text = \"{{{{question}}}}\"\ndoc_to_choice = \"{{{{[a, b]}}}}\"\ndoc_to_target = \"right\"\nid = \"id\"\n\
         dataset_kwargs.data_files.dev = \"rows\"\n"
    );
    fs::write(folder.path().join("task.toml"), definition).unwrap();
    fs::write(folder.path().join("rows"), rows).unwrap();
    folder
}

fn json_line(id: usize, question: &str, b: &str, right: usize) -> String {
    let row =
        serde_json::json!({"id": id, "question": question, "a": "Rome.", "b": b, "right": right});
    format!("{row}\n")
}

/// Six documents that differ, the third of which is replaced.
fn rows_with(third: &str) -> String {
    let cities = ["Paris", "Lima", "Oslo", "Cairo", "Quito", "Delhi"];
    let line = |(id, city): (usize, &&str)| match id {
        2 => third.to_owned(),
        _ => json_line(id, &format!("Is {city} a port?"), "No.", 1),
    };
    cities.iter().enumerate().map(line).collect()
}

fn load(format: &str, rows: &[u8]) -> Result<Task, String> {
    let folder = folder(format, rows);
    Task::load(folder.path()).map_err(|error| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        text
    })
}

fn assert_refused(format: &str, rows: &[u8], words: &[&str]) {
    let said = load(format, rows).unwrap_err();
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

#[test]
fn good_rows_load() {
    let task =
        load("json", rows_with(&json_line(2, "Is Oslo a port?", "Yes.", 1)).as_bytes()).unwrap();
    let docs: usize = Split::ALL.map(|split| task.docs(split).len()).iter().sum();
    assert_eq!((docs, task.warnings.as_slice()), (6, [].as_slice()));
}

#[test]
fn a_missing_column() {
    let row = "{\"id\": 2, \"question\": \"Oslo?\", \"a\": \"Rome.\", \"right\": 1}\n";
    assert_refused(
        "json",
        rows_with(row).as_bytes(),
        &["rows:3", "`doc_to_choice`", "id, question, a, right"],
    );
    assert_refused(
        "csv",
        b"id,question,a,right\n1,x,y,0\n",
        &["rows:2", "`doc_to_choice`", "not there"],
    );
}

#[test]
fn an_answer_out_of_range() {
    let row = json_line(2, "Is Oslo a port?", "No.", 2);
    assert_refused(
        "json",
        rows_with(&row).as_bytes(),
        &["rows:3", "`doc_to_target` is 2", "from 0 to 1"],
    );
    assert_refused(
        "csv",
        b"id,question,a,b,right\n1,x,y,z,-1\n",
        &["rows:2", "`doc_to_target` is \"-1\""],
    );
}

#[test]
fn empty_choices() {
    let row = json_line(2, "Is Oslo a port?", "", 1);
    assert_refused("json", rows_with(&row).as_bytes(), &["rows:3", "choice 1", "empty"]);
}

#[test]
fn ids_that_come_twice_are_counted_with_their_lines() {
    let row = json_line(1, "Is Oslo a port?", "No.", 1);
    let task = load("json", rows_with(&row).as_bytes()).unwrap();
    let [TaskWarning::Rows(warning)] = task.warnings.as_slice() else {
        panic!("{:?}", task.warnings)
    };
    let said = warning.to_string();
    for word in ["rows:3", "\"1\"", "line 2", "1 such row"] {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

#[test]
fn bytes_that_are_no_text() {
    let mut rows = rows_with("").into_bytes();
    rows.extend_from_slice(b"{\"id\": \"\xff\"}\n");
    assert_refused("json", &rows, &["rows:6", "UTF-8"]);
    assert_refused("csv", b"id,question\n1,ok\n2,\xff\n", &["rows:3", "UTF-8"]);
}

#[test]
fn a_csv_with_line_breaks_in_its_fields() {
    let mut rows = "id,question,a,b,right\n".to_owned();
    for (id, city) in ["Paris", "Lima", "Oslo", "Cairo"].iter().enumerate() {
        rows += &format!("{id},\"Is {city}\n\na \"\"port\"\"?\",Yes.,\"No,\nnever.\",1\n");
    }
    let task = load("csv", rows.as_bytes()).unwrap();
    let mut docs: Vec<_> = Split::ALL.into_iter().flat_map(|split| task.docs(split)).collect();
    docs.sort_by_key(|doc| doc.place.line);
    assert_eq!(docs.iter().map(|doc| doc.place.line).collect::<Vec<_>>(), [2, 6, 10, 14]);
    assert_eq!(docs[1].text, "Is Lima\n\na \"port\"?");
    assert_eq!(docs[1].answer.choices(), ["Yes.", "No,\nnever."]);
    assert_refused("csv", format!("{rows}9,\"open,x,y,0\n").as_bytes(), &["rows:18", "2 fields"]);
    assert_refused("csv", format!("{rows}9,short\n").as_bytes(), &["rows:18", "2 fields", "5"]);
}

fn quickstart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/quickstart/base")
}

/// The error of preparing the documents of all splits for the quickstart's base model.
fn refused(task: &Task, tokenizer: &TaskTokenizer) -> String {
    let tasks = std::slice::from_ref(task);
    let network = load_network(&Checkpoint::open(&quickstart()).unwrap(), Precision::F32).unwrap();
    let documents = Documents { tasks, split: None, limit: None, docs: None };
    let room = Room { memory: Bytes(1 << 30), threads: 1 };
    ScoringSet::new(&documents, tokenizer, &network, room).unwrap_err().to_string()
}

/// It loads, and what cannot be done with it is said: no model here reads 350,000 tokens.
#[test]
fn a_document_of_a_megabyte() {
    a_document_of(1_000_000);
}

/// `cargo test --release a_document_of_20_megabytes -- --ignored`: tokenizing it takes most of a minute.
#[test]
#[ignore = "a minute; cargo test --release a_document_of_20_megabytes -- --ignored --nocapture"]
fn a_document_of_20_megabytes() {
    a_document_of(20_000_000);
}

fn a_document_of(bytes: usize) {
    let sentence = "Is Oslo a port by the sea? ";
    let long = sentence.repeat(bytes.div_ceil(sentence.len()));
    let task = load("json", rows_with(&json_line(2, &long, "No.", 1)).as_bytes()).unwrap();
    let said = refused(&task, &TaskTokenizer::open(&quickstart()).unwrap());
    assert!(
        said.contains("rows:3") && said.contains("capitals"),
        "{}",
        &said[..said.len().min(500)]
    );
}

#[test]
fn a_choice_that_tokenizes_to_nothing() {
    let file = fs::read(quickstart().join("tokenizer.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&file).unwrap();
    json["normalizer"] =
        serde_json::json!({"type": "Replace", "pattern": {"String": "~"}, "content": ""});
    let tokenizer = Tokenizer::from_bytes(json.to_string()).unwrap();
    let folder = folder("json", rows_with(&json_line(2, "Is Oslo a port?", "~~", 0)).as_bytes());
    let file = folder.path().join("task.toml");
    let definition = fs::read_to_string(&file).unwrap();
    let delimited = definition.replace("output_type", "target_delimiter = \"\"\noutput_type");
    fs::write(&file, delimited).unwrap();
    let said = refused(&Task::load(folder.path()).unwrap(), &tokenizer.into());
    assert!(said.contains("rows:3") && said.contains("\"~~\" adds no token"), "{said}");
}
