//! Rows of JSON, CSV, parquet and the competition kit's CSV.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use merge_search::task::FilesDigest;
use merge_search::task::source::{
    DatasetError, DatasetWarning, Format, Row, duplicate_ids, keep, read_kit, read_rows,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::allocations::largest_allocation;

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(path)
}

/// A folder with one file.
struct Written {
    _folder: TempDir,
    file: PathBuf,
}

fn written(name: &str, content: impl AsRef<[u8]>) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, content).unwrap();
    Written { _folder: folder, file }
}

fn read_file(file: &Path) -> Result<Vec<Row>, DatasetError> {
    read_rows(file, Format::of_file(file).unwrap(), &mut FilesDigest::default())
}

pub fn read(name: &str, content: impl AsRef<[u8]>) -> Result<Vec<Row>, DatasetError> {
    read_file(&written(name, content).file)
}

fn kit(content: impl AsRef<[u8]>) -> Result<Vec<Row>, DatasetError> {
    read_kit(&written("kit.csv", content).file, &mut FilesDigest::default())
}

fn fields(rows: &[Row]) -> Vec<Value> {
    rows.iter().map(|row| Value::Object(row.fields.clone())).collect()
}

fn lines(rows: &[Row]) -> Vec<usize> {
    rows.iter().map(|row| row.place.line).collect()
}

/// The message of an error, which must name the file and the line.
fn message(result: Result<Vec<Row>, DatasetError>, place: &str) -> String {
    let message = result.unwrap_err().to_string();
    assert!(message.contains(place), "{message:?} does not name {place}");
    message
}

#[test]
fn json_lines_have_the_lines_of_the_file() {
    let rows = read("a.jsonl", "\u{feff}{\"a\": 1}\n\n  \r\n{\"a\": \"x\\ny\", \"b\": [null]}\r\n")
        .unwrap();
    assert_eq!(fields(&rows), [json!({"a": 1}), json!({"a": "x\ny", "b": [null]})]);
    assert_eq!(lines(&rows), [1, 4]);
    assert!(rows[0].place.to_string().ends_with("a.jsonl:1"));
}

#[test]
fn an_array_of_objects_is_read_too() {
    let text = "\n[ {\"a\": \"],\\\"[{\"},\n\n {\"a\":\n {\"b\": [1, [2]]}}\n,{}]\n";
    let rows = read("a.json", text).unwrap();
    assert_eq!(fields(&rows), [json!({"a": "],\"[{"}), json!({"a": {"b": [1, [2]]}}), json!({})]);
    assert_eq!(lines(&rows), [2, 4, 6]);
}

#[test]
fn bad_json_is_an_error_with_its_line() {
    message(read("a.jsonl", "{\"a\": 1}\n{\"a\": }\n"), "a.jsonl:2");
    message(read("a.jsonl", "{\"a\": 1}\n[1]\n"), "a.jsonl:2");
    message(read("a.jsonl", "{\"a\": 1} {\"a\": 2}\n"), "a.jsonl:1");
    message(read("a.json", "[{\"a\": 1},\n\n {\"a\"}]"), "a.json:3");
    message(read("a.json", "[{\"a\": 1},\n]"), "a.json:");
    message(read("a.json", "[{\"a\": 1}\n"), "a.json:");
    message(read("a.json", "[{\"a\": 1}]\nx"), "a.json:");
    message(read("a.json", "[1, 2]"), "a.json:1");
    // A document over several lines.
    let text = message(read("a.json", "{\n \"a\": 1\n}\n"), "a.json:1");
    assert!(text.contains("one JSON object per line"), "{text}");
    let wrapped = read("a.json", "{\"version\": \"1.0\", \"data\": [{\"a\": 1}]}");
    let text = message(wrapped, "a.json:1");
    assert!(text.contains("`data`") && text.contains("array of objects"), "{text}");
    // A field called so is no wrapping.
    assert_eq!(read("a.jsonl", "{\"data\": [1]}\n").unwrap().len(), 1);
    let deep = "[".repeat(100_000);
    message(read("a.jsonl", format!("{{\"a\": {deep}")), "a.jsonl:1");
}

#[test]
fn files_that_are_no_files_are_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.csv");
    assert!(matches!(read_file(&absent), Err(DatasetError::Read { .. })));
    let digest = &mut FilesDigest::default();
    let error = read_rows(folder.path(), Format::Json, digest).unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
    for name in ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.parquet"] {
        let error = read(name, "").unwrap_err();
        assert!(matches!(error, DatasetError::Empty { .. }), "{name}: {error:?}");
    }
    for (name, text) in
        [("a.jsonl", "\n \n"), ("a.json", "[ ]"), ("a.csv", "a,b\n"), ("a.csv", "\n")]
    {
        let error = read(name, text).unwrap_err();
        assert!(matches!(error, DatasetError::Empty { .. }), "{name}: {error:?}");
    }
    for (name, bytes) in [("a.jsonl", &b"{}\n{\"a\": \"\xff\"}\n"[..]), ("a.csv", b"a\n\xc3(\n")] {
        message(read(name, bytes), &format!("{name}:2: not valid UTF-8"));
    }
}

#[test]
fn formats_are_told_by_name() {
    let format = |name: &str| Format::of_file(Path::new(name));
    assert_eq!(format("a/b.jsonl"), Some(Format::Json));
    assert_eq!(format("b.jsonl.gz"), Some(Format::Json));
    assert_eq!(format("b.tsv"), Some(Format::Csv));
    assert_eq!(format("b.parquet"), Some(Format::Parquet));
    assert_eq!((format("b.txt"), format("gz"), format(".gz")), (None, None, None));
}

#[test]
fn packed_files_are_unpacked() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(b"a,b\n1,2\n").unwrap();
    let packed = packer.finish().unwrap();
    assert_eq!(fields(&read("a.csv.gz", &packed).unwrap()), [json!({"a": "1", "b": "2"})]);
    for damaged in [&packed[..packed.len() - 5], b"a,b\n1,2\n"] {
        let error = read("a.csv.gz", damaged).unwrap_err();
        assert!(matches!(error, DatasetError::Gzip { .. }), "{error:?}");
    }
}

/// Expectations of Python's csv module: `tests/reference/csv/make.py`.
#[test]
fn csv_is_read_as_python_reads_it() {
    let cases = fs::read(reference("csv/cases.json")).unwrap();
    let cases: Value = serde_json::from_slice(&cases).unwrap();
    for case in cases.as_array().unwrap() {
        let name = if case["delimiter"] == "\t" { "a.tsv" } else { "a.csv" };
        let text = case["text"].as_str().unwrap();
        let rows = read(name, text).unwrap_or_else(|error| panic!("{error}\n{text:?}"));
        let found: Vec<Value> = rows
            .iter()
            .map(|row| {
                let values: Vec<&Value> = row.fields.values().collect();
                json!({"line": row.place.line, "values": values})
            })
            .collect();
        assert_eq!(Value::from(found), case["rows"], "{text:?}");
        let names: Vec<&String> = rows[0].fields.keys().collect();
        assert_eq!(json!(names), case["header"]);
    }
}

#[test]
fn bad_csv_is_an_error_with_its_line() {
    let text = message(read("a.csv", "a,b\n\"1\n\",2\n3\n"), "a.csv:4");
    assert!(text.contains("1 fields, the header 2"), "{text}");
    message(read("a.csv", "a,b\r\n1,2\r\n1,2,3\r\n"), "a.csv:3");
    message(read("a.csv", "a,,b\n1,2,3\n"), "a.csv:1: column 2");
    message(read("a.csv", "a,b,a\n1,2,3\n"), "a.csv:1: column `a`");
    let text = message(read("a.csv", "a,b\n1,2\n3,\"4\n5,6\n7,8\n"), "a.csv:3");
    assert!(text.contains("never closed"), "{text}");
    read("a.csv", "a,b\n1,2\n3,\"4\n5,6\"\n").unwrap();
    let rows = read("a.csv", "\u{feff}id,b\n1,2\n").unwrap();
    assert_eq!(fields(&rows), [json!({"id": "1", "b": "2"})]);
}

/// Expectations of pyarrow: `tests/reference/parquet/make.py`.
#[test]
fn parquet_is_read_as_pyarrow_reads_it() {
    let expected = fs::read(reference("parquet/rows.json")).unwrap();
    let expected: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&expected).unwrap();
    assert_eq!(expected.len(), 5);
    for (name, expected) in expected {
        let rows = read_file(&reference("parquet").join(&name)).unwrap();
        assert_eq!(fields(&rows), expected, "{name}");
        assert_eq!(lines(&rows), (1..=expected.len()).collect::<Vec<_>>());
    }
}

#[test]
fn other_types_of_parquet_are_named() {
    for name in ["timestamp", "date", "decimal", "dictionary", "byte", "latin", "fixed", "inner"] {
        let file = format!("unreadable-{name}.parquet");
        let error = read_file(&reference("parquet").join(&file)).unwrap_err();
        let is_type = match name {
            "latin" => matches!(error, DatasetError::Binary { .. }),
            _ => matches!(error, DatasetError::ColumnType { .. }),
        };
        let message = error.to_string();
        assert!(is_type && message.contains("`odd`") && message.contains(&file), "{message}");
    }
    let error = read_file(&reference("parquet/empty.parquet")).unwrap_err();
    assert!(matches!(error, DatasetError::Empty { .. }), "{error:?}");
}

#[test]
fn broken_parquet_is_an_error() {
    let whole = fs::read(reference("parquet/everything-snappy.parquet")).unwrap();
    for length in (1..whole.len()).step_by(501) {
        let error = read("a.parquet", &whole[..length]).unwrap_err();
        assert!(error.to_string().contains("a.parquet"), "{error}");
    }
    read("a.parquet", "PAR1 no parquet PAR1").unwrap_err();
}

#[test]
fn large_documents_and_files_fit() {
    let document = "lorem ipsum, \\\"dolor\\\" ".repeat(1_000_000);
    let text = format!("{{\"text\": \"{document}\"}}\n");
    assert!(text.len() > 20_000_000);
    let json_lines = written("a.jsonl", &text);
    let csv = written("a.csv", format!("text\n\"{}\"\n", document.replace("\\\"", "\"\"")));
    for written in [json_lines, csv] {
        let size = fs::metadata(&written.file).unwrap().len() as usize;
        let (rows, largest) = largest_allocation(|| read_file(&written.file).unwrap());
        assert_eq!(
            rows[0].fields["text"].as_str().unwrap().matches("\"dolor\"").count(),
            1_000_000
        );
        assert!(largest <= 2 * size, "{largest} bytes at once for a file of {size}");
    }
}

#[test]
fn the_digest_is_that_of_the_files() {
    let digest = |contents: &[&str]| {
        let mut digest = FilesDigest::default();
        for content in contents {
            read_rows(&written("a.jsonl", content).file, Format::Json, &mut digest).unwrap();
        }
        digest.hexadecimal()
    };
    assert_eq!(digest(&["{}\n", "{}\n"]), digest(&["{}\n", "{}\n"]));
    assert_ne!(digest(&["{}\n", "{}\n"]), digest(&["{}\n{}\n"]));
}

const KIT: &str = "eval_type,id,answer_choices,input,target\n\
    multiple_choice,0,\"['A', \"\"it's\"\", 'a\\nb', 'é']\",\"Who,\n\"\"what\"\"?\",1\n\
    generation,1,None,Write.,A text\n\
    generation,2,,Write.,\n";

#[test]
fn the_kits_csv_is_read_in_any_order_of_columns() {
    let rows = kit(KIT).unwrap();
    assert_eq!(lines(&rows), [2, 4, 5]);
    assert_eq!(
        Value::Object(rows[0].fields.clone()),
        json!({
            "eval_type": "multiple_choice",
            "id": "0",
            "answer_choices": ["A", "it's", "a\nb", "é"],
            "input": "Who,\n\"what\"?",
            "target": "1"
        })
    );
    for (row, target) in [(&rows[1], json!("A text")), (&rows[2], Value::Null)] {
        assert_eq!((&row.fields["answer_choices"], &row.fields["target"]), (&Value::Null, &target));
    }
    let rows = kit("id,input,eval_type\n0,a,generation\n").unwrap();
    assert_eq!(rows[0].fields["answer_choices"], Value::Null);
}

#[test]
fn what_is_no_kit_csv_is_said_to_be() {
    let text = message(kit("id,input\n0,a\n"), "kit.csv:1");
    assert!(text.contains("`eval_type` is missing"), "{text}");
    let text = message(kit("id,input,eval_type,choices\n0,a,generation,x\n"), "kit.csv:1");
    assert!(text.contains("`choices` is unknown"), "{text}");
    message(kit("id,input,eval_type\n0,a,generation\n0,a,other\n"), "kit.csv:3: `eval_type`");
    let choices = |choices: &str| {
        kit(format!("id,input,eval_type,answer_choices\n7,a,multiple_choice,{choices}\n"))
    };
    for bad in ["", "None", "\"['a', 1]\"", "\"['a'\"", "a", "\"{'a': 1}\"", "\"__import__('os')\""]
    {
        message(choices(bad), "kit.csv:2: `answer_choices`");
    }
    assert_eq!(choices("\"('a', 'b')\"").unwrap()[0].fields["answer_choices"], json!(["a", "b"]));
}

#[test]
fn duplicate_ids_are_counted() {
    let text = "{\"id\": 1}\n{\"id\": \"1\"}\n{\"id\": 2}\n{\"id\": 1}\n";
    let rows = read("a.jsonl", text).unwrap();
    let warning = duplicate_ids(&rows, "id").unwrap().unwrap();
    let DatasetWarning::DuplicateIds { count, id, first, second } = &warning else { panic!() };
    assert_eq!((*count, id.as_str(), first.line, second.line), (2, "1", 1, 2));
    assert!(warning.to_string().contains("a.jsonl:2"), "{warning}");
    assert_eq!(duplicate_ids(&rows[1..3], "id").unwrap(), None);
    message(duplicate_ids(&rows, "key").map(|_| Vec::new()), "a.jsonl:1: `key` is missing");
}

#[test]
fn rows_are_chosen_by_a_field() {
    let rows = read("a.csv", "lang,x\nen,1\nde,2\nen,3\nfr,4\n").unwrap();
    let (kept, warning) = keep(rows.clone(), "lang", &["en".to_owned(), "fr".to_owned()]).unwrap();
    assert_eq!(lines(&kept), [2, 4, 5]);
    let warning = warning.unwrap();
    assert_eq!((warning.count(), warning.first().line), (1, 3));
    message(keep(rows, "language", &[]).map(|(rows, _)| rows), "a.csv:2: `language` is missing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for name in ["a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.csv.gz"] {
            let _either = read(name, &bytes);
        }
        let _either = kit(&bytes);
    }

    #[test]
    fn near_texts_are_read_or_refused(parts in proptest::collection::vec(
        prop::sample::select(vec![
            "{", "}", "[", "]", ",", "\"", "\\", ":", "\n", "\r", "a", "1", "é", " ", "\u{feff}",
            "\"a\":1", "id,input,eval_type,answer_choices", "generation", "['a', 'b']", "None", "''",
        ]), 0..60,
    )) {
        let text = parts.concat();
        for name in ["a.jsonl", "a.json", "a.csv", "a.tsv"] {
            if let Ok(rows) = read(name, &text) {
                let last = text.lines().count().max(text.split('\r').count());
                prop_assert!(rows.iter().all(|row| (1..=last + text.matches('\n').count()).contains(&row.place.line)));
            }
        }
        let _either = kit(&text);
        let _either = kit(format!("id,input,eval_type,answer_choices\n{text}"));
    }

    /// What is written by the rules of RFC 4180 is what is read.
    #[test]
    fn quoted_csv_is_what_was_written(
        rows in proptest::collection::vec(proptest::collection::vec("[a\",\n\r \té]{0,6}", 3), 1..8),
    ) {
        let quoted = |row: &[String]| {
            let cells: Vec<String> = row.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            cells.join(",") + "\r\n"
        };
        let text: String = rows.iter().map(|row| quoted(row)).collect();
        let read = read("a.csv", format!("x,y,z\r\n{text}")).unwrap();
        let found: Vec<Vec<&str>> =
            read.iter().map(|row| row.fields.values().map(|value| value.as_str().unwrap()).collect()).collect();
        prop_assert_eq!(found, rows);
    }
}
